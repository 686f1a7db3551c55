"""One fast, honest pass over a very large file system.

>>> import pwalk
>>> for path, directories, files in pwalk.walk("/data"):    # os.walk, read ahead in parallel
...     directories[:] = [d for d in directories if d != ".git"]
>>> output, errors = pwalk.report("/data", "data.parquet")  # metadata of every entry, for DuckDB
>>> files = pwalk.scan("/data")                             # the same as Arrow, without a file
>>> pwalk.repair("/shared")                                 # what is wrong with its permissions; changes nothing
>>> pwalk.create_copy_service().copy_directory("/data", "/backup/data")    # a faithful copy, in parallel
>>> pwalk.Catalog().scan("/data").changes                   # what changed since the last time

Nothing is lost in silence: what could not be read is in ``errors``, and the report says COMPLETE or PARTIAL.
"""

from ._bench import BenchmarkResult, BenchmarkRunner, create_benchmark_runner
from ._catalog import Catalog, RefusedError, Run, Unread
from ._copy import (
    CopyProgress,
    CopyResult,
    FileCopyService,
    Strategy,
    StrategyInfo,
    create_copy_service,
    get_strategy_info,
    list_available_strategies,
    register_strategy,
)
from ._pwalk import CatalogRows, __version__
from ._repair import Repair, repair
from ._report import Report, report
from ._scan import PartialWarning, Scan, scan
from ._walk import walk
from .directory import (
    DT_BLK,
    DT_CHR,
    DT_DIR,
    DT_FIFO,
    DT_LNK,
    DT_REG,
    DT_SOCK,
    DT_UNKNOWN,
    Directory,
    Entry,
)

__all__ = [
    "BenchmarkResult",
    "BenchmarkRunner",
    "Catalog",
    "CatalogRows",
    "CopyProgress",
    "CopyResult",
    "DT_BLK",
    "DT_CHR",
    "DT_DIR",
    "DT_FIFO",
    "DT_LNK",
    "DT_REG",
    "DT_SOCK",
    "DT_UNKNOWN",
    "Directory",
    "Entry",
    "FileCopyService",
    "PartialWarning",
    "RefusedError",
    "Repair",
    "Report",
    "Run",
    "Scan",
    "Strategy",
    "StrategyInfo",
    "Unread",
    "__version__",
    "create_benchmark_runner",
    "create_copy_service",
    "get_strategy_info",
    "list_available_strategies",
    "register_strategy",
    "repair",
    "report",
    "scan",
    "walk",
]
