"""Publish images in shared storage to Milvus: Spark encodes and sends them, and nothing holds all of them in memory.

    python -m latentsearch.publish --gallery /shared/photos --spark spark://host:7077
        --store http://host:19530 --collection photos
    python RetrieveSimilar.py --store http://host:19530 --collection photos
        --query cat.jpg                             search in what was published

Give the same command again to follow the images, and after any interruption: what is whole is not made again. Until it
ends, a search finds what was published before. Reads models/<run>/best.keras; writes data/published/<collection>/.
"""

from __future__ import annotations

from latentsearch.cli import quiet_libraries, run_script
from latentsearch.publish.config import PublishConfig


def main(config: PublishConfig) -> None:
    """Publish the images that `config` names."""
    with quiet_libraries():
        from latentsearch.publish.publish import publish
    publish(config)


if __name__ == "__main__":
    run_script(main, PublishConfig, __doc__, name="python -m latentsearch.publish")
