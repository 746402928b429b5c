"""A local web page to click through a corpus: `python -m latentsearch.page`."""
