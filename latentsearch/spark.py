"""Sessions with Apache Spark, an extra: on the cluster that --spark names, or one that ends with this process."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from latentsearch import files
from latentsearch.environment import CODE
from latentsearch.errors import InputError
from latentsearch.text import printable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MASTERS = "spark://HOST:7077, yarn, k8s://https://HOST:PORT, or on this machine local[2] or local-cluster[2,1,1024]"


@contextlib.contextmanager
def session(master: str, log: Path) -> Iterator[SparkSession]:
    """Open a session with Spark, which ends with the block; one that this process has already is used and left open.

    Args:
        master: Address of the cluster, as Spark writes it.
        log: File that gets what Spark has to say.

    Raises:
        InputError: if pyspark or Java is missing, or Spark cannot be started.
    """
    _require()
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        yield running
        return
    warnings.filterwarnings("ignore", module="pyspark")  # of pandas 3, and of tags that nobody set
    # Executors would take the python3 that they find on their path.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH"))))
    builder = SparkSession.builder.master(master).appName("latentsearch").config("spark.executorEnv.PYTHONPATH", path)
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # Spark would listen on all interfaces
        builder = builder.config("spark.ui.enabled", "false")
    try:
        with _standard_error_to(log):  # Java keeps it
            opened = builder.getOrCreate()
    except Exception as error:  # whatever Java raises
        # Java that does not even begin says why in its log alone.
        said = re.findall(r"^(?:Error|Exception in thread \"main\").*", log.read_text(errors="replace"), re.M)
        reason = said[-1] if said and "GATEWAY_EXITED" in str(error) else in_short(error)
        raise InputError(f"--spark {master}: {reason}\nExpected {_MASTERS}. See {log}.") from None
    try:
        yield opened
    finally:
        opened.stop()


def check_shared(opened: SparkSession, path: Path) -> None:
    """Check that the executors have this package and see what is at `path`.

    Raises:
        InputError: if not.
    """
    context = opened.sparkContext
    count = context.defaultParallelism
    try:
        seen = context.parallelize(range(count), count).map(functools.partial(sees, str(path))).collect()
    except Exception as error:  # whatever Java raises
        raise InputError(
            f"--spark {context.master}: the executors cannot work ({in_short(error)}). They need the environment "
            f"{sys.prefix} and the code {CODE} at these paths, or PYSPARK_PYTHON and PYTHONPATH must say where."
        ) from None
    if not all(seen):
        raise InputError(
            f"--spark {context.master}: the executors do not see {printable(path)}. It must be on storage that all "
            "machines share, at the same path."
        )


def sees(path: str, _: int = 0) -> bool:
    """Tell whether this process sees what is at `path`."""
    return Path(path).exists()


def has_ended(opened: SparkSession) -> bool:
    """Tell whether Spark itself has ended."""
    java = opened.sparkContext._jsc
    return java is None or java.sc().isStopped()


def in_short(error: BaseException) -> str:
    """Shorten the many lines that Spark makes of an exception to one: that of Python, where there is one."""
    lines = re.findall(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception|Failed): .+)$", str(error), re.MULTILINE)
    lines += re.findall(r"^(?:: |Caused by: )?[\w.$]+\.(\w+(?:Error|Exception): .+)$", str(error), re.MULTILINE)
    return (lines or str(error).strip().splitlines() or [type(error).__name__])[0][:400]


def _require() -> None:
    try:
        for name in ("pyspark", "pyarrow"):
            importlib.import_module(name)
    except ImportError:
        raise InputError(
            f"--spark: {name} is not installed.\nInstall what it needs: python -m pip install -r requirements-spark.txt"
        ) from None
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(Path(home, "bin", "java") if home else "java"):
        where = f"below JAVA_HOME, {home}" if home else "on the PATH"
        raise InputError(
            f"--spark: Spark needs Java 17 or newer, and there is no java {where}.\n"
            "Install it, on Debian with: apt-get install openjdk-17-jre-headless"
        )


@contextlib.contextmanager
def _standard_error_to(log: Path) -> Iterator[None]:
    files.claim(log)
    kept = os.dup(2)
    try:
        with open(log, "ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
