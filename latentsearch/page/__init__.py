"""A local web page to click through a collection: `python -m latentsearch.page`."""
