"""The table of what is noticed of a run's reads, docs/explanation/reads.md: one process reads in all of these ways."""

import gzip
import json
import os
import re
import subprocess
import sys
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from tiny import CHECKOUT

from samebook.reads import recorder

STYLES = ".config/matplotlib/stylelib"
PAGE = CHECKOUT / "docs" / "explanation" / "reads.md"
# The code of each row, by its first column on the page: it reads the file `f`, whose ending the page tells too.
NAMED = {
    "`open`, `pathlib`, `os.open`": "os.close(os.open(Path(f), os.O_RDONLY))",
    "a file that is changed or appended to": "open(f, 'a').close(); open(f)",
    "`pandas.read_csv`": "pd.read_csv(f)",
    "`pandas.read_parquet`": "pd.read_parquet(f'{base}.parquet')",
    "`pandas.read_parquet` of a folder": "pd.read_parquet(base)",
    "`pyarrow.parquet`": "import pyarrow.parquet as pq; pq.ParquetFile(f'{base}.parquet')",
    "`pyarrow.dataset`": "import pyarrow.dataset; pyarrow.dataset.dataset([f'{base}.parquet'])",
    "`pyarrow.csv`, `pyarrow.json`": "import pyarrow.csv; pyarrow.csv.read_csv(f)",
    "`pyarrow.feather`, `pyarrow.orc`": "import pyarrow.feather as it; it.read_table(f'{base}.feather')",
    "`pyarrow.ipc`": "import pyarrow as pa; pa.ipc.open_file(f'{base}.feather')",
    "`pyarrow.memory_map`": "import pyarrow; pyarrow.memory_map(f)",
    "a query of DuckDB with the file's name": "import duckdb; duckdb.sql(f\"from read_csv('{f}'), frame\").fetchall()",
    "a query of DuckDB with a pattern": "duckdb.connect().execute(f\"from read_csv('{f[:-1]}[v]')\")",
    "DuckDB's `read_csv`, `read_parquet`, `read_json`": "duckdb.connect().read_csv(f)",
    "a database of DuckDB": "duckdb.connect(f'{base}.duckdb').close()",
    "a database of SQLite": "import sqlite3; sqlite3.connect(f).close()",
    "a database that SQLite attaches": "import sqlite3 as it\n"
    "with ignored: it.connect(':memory:').execute(f\"attach '{f}' as a\")",
    "`os.open` with `dir_fd`": "os.open(Path(f).name, os.O_RDONLY, dir_fd=os.open('data', os.O_RDONLY))",
    "`xgboost`: a model, a file of rows": "import xgboost; xgboost.DMatrix(f'{f}?format=csv')",
    "`scipy.io.mmread`, `mminfo`": "import scipy.io; scipy.io.mminfo(f'{base}.mtx')",
    "matplotlib's styles and `matplotlibrc` of the user": "import matplotlib.style as it; it.use('mine')",
    "a file that is moved into the outputs": "os.rename(f, 'runs/.partial/1/outputs/moved')",
    "a file that is linked into the outputs": "os.link(f, 'runs/.partial/1/outputs/linked')",
    "a segment of shared memory": "from multiprocessing.shared_memory import SharedMemory as it; "
    "it(os.environ['SEGMENT'], track=False)",
    "a process of `os.fork`": "pid = os.fork() or (open(f), os._exit(0)); os.waitpid(pid, 0)",
    "a file in a package, by `pkgutil`, `importlib.resources`": "import importlib.resources as it; "
    "(it.files('data') / Path(f).name).read_text()",
    "the names in a folder, by `os.listdir`, `glob`, `Path.iterdir`": "[open(path) for path in Path(base).glob('*')]",
}
UNSEEN = {
    "a child process": "run('pass')",
    "`os.system`, `!`": "os.system('true')",
    "`multiprocessing` by spawn, `joblib`": "import multiprocessing.util as m; m.spawnv_passfds(b'/bin/true', 'x', ())",
    "another interpreter in the process": "import _interpreters as it; it.destroy(it.create())",
    "the network": "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
    "a URL that compiled code reads": "with ignored: duckdb.sql(\"from read_csv('s3://bucket/x.csv')\")",
    "a pipe, a device outside of `/dev`": "os.mkfifo(p := f'{base}.p'); os.open(p, os.O_RDONLY | os.O_NONBLOCK)",
    "a query of DuckDB without the file's name": "with ignored: duckdb.sql(\"from read_csv('a' || 'b')\")",
    "a database driver": "import adbc_driver_postgresql.dbapi as it\nwith ignored: it.connect('postgresql://127.0.0.1:9/')",
    "an object store, by `obstore`": "import obstore, obstore.store as it; obstore.get(it.LocalStore('data'), '0.csv')",
    "Tcl, by `tkinter`": "import tkinter; tkinter.Tcl()",
    "a plan of Substrait": "import pyarrow.substrait as it\nwith ignored: it.run_query(b'')",
    "a database that SQLite attaches by a bound value": "it = sqlite3.connect(':memory:'); "
    "it.execute('attach ? as it', (f'{base}.db',))",
    "a file system of `pyarrow.fs`": "import pyarrow.fs as it; it.LocalFileSystem().open_input_file(f)",
    "compiled code of a package that samebook does not know": "sys.audit('import', 'h5py.h5', '/h5py/h5.so', 0, 0, 0)",
    "a library that `ctypes` loads": "import ctypes\nwith ignored: ctypes.CDLL('./own.so')",
}
NOT_NOTICED = {
    "files of the system and of the environment": "open('/etc/hostname'); open(pd.__file__)",
    "`lscpu`, `ldconfig`, `nproc`, `uname`, `fc-list`": "subprocess.run(['uname'], stdout=subprocess.DEVNULL)",
    "whether a file exists, its size and time": "Path(f).stat()",
    "the ranks of a training by xgboost": "from xgboost.tracker import RabitTracker as it; it(1, '127.0.0.1')",
    "names of the network": "import socket; socket.getaddrinfo('127.0.0.1', 80)",
    "`pyarrow.fs.FileSystem.from_uri`": "import pyarrow.fs as it; "
    "it.FileSystem.from_uri(f'file://{os.path.abspath(f)}')[0].open_input_file(f)",
    "functions of C that `ctypes` calls": "ctypes.CDLL(None).open(f.encode(), 0)",
    "a file of the run's own that another program has written over": "open('own', 'w').close(); "
    "ctypes.CDLL(None).system(b'echo 2 > own'); assert open('own').read() == '2\\n'",
    "variables, the clock, chance": "os.environ['HOME'], __import__('time').time(), os.urandom(1)",
}
# Other ways to do what rows of the page do.
ALSO_NAMED = {
    "a link in the place of an own file": "open(p := f'{base}.own', 'w').close(); os.unlink(p); "
    "os.symlink(os.path.abspath(f), p); assert open(p).read()",
    "a comment with an apostrophe": "duckdb.sql(f\"-- it's\\n/* don't */ from '{f}'\").fetchall()",
    "a query in lines": "duckdb.sql(f\"from read_csv(\\n  '{f}'\\n)\").fetchall()",
    "a text in dollars": "duckdb.sql(f'from read_csv($${f}$$)').fetchall()",
    "a path from home": "duckdb.sql(f\"from '~/{f}'\").fetchall()",
    "a path from home by pyarrow": "import pyarrow.parquet as pq; pq.read_table(f'~/{base}.parquet')",
    "a name that begins like a query": "os.rename(f, p := f'{base}.copy x.csv'); os.chdir('data'); "
    "duckdb.read_csv(Path(p).name); os.chdir('..')",
    "a filter": "duckdb.sql('select 1 as a').filter(f\"a in (select column0 from '{f}')\").fetchall()",
    "a query of a relation": "duckdb.sql('select 1 as a').query('t', f\"select * from t, '{f}'\").fetchall()",
    "a parsed statement": "duckdb.execute(duckdb.extract_statements(f\"from '{f}'\")[0])",
    "a URL with a blank": "os.rename(f'{base}.parquet', p := f'{base}. x.parquet'); "
    "pd.read_parquet('file://' + os.path.abspath(p).replace(' ', '%20'), engine='pyarrow')",
    "`pyarrow.OSFile`": "import pyarrow as pa; assert isinstance(pa.OSFile(f), pa.NativeFile)",
    "`pkgutil.get_data`": "import importlib.machinery as it; it.SourceFileLoader('it', f).get_data(f)",
    "`os.fwalk`": "[open(f'{it[0]}/{name}') for it in os.fwalk(base) for name in it[2]]",
    "a stream of `pyarrow.ipc`": "import pyarrow as pa, pyarrow.ipc\nwith ignored: pa.ipc.open_stream(f)",
    "a packed stream": "import pyarrow as pa; assert pa.CompressedInputStream(f'{base}.csv.gz', 'gzip').read()",
    "a name without quotes": "import duckdb; os.chdir('data'); "
    "duckdb.connect().sql('select * from x.csv'); os.chdir('..')",
    "a table": "it = duckdb.connect(); it.table(f); it.view(f)",
    "a query as an expression": "duckdb.SQLExpression(f\"a in (select column0 from '{f}')\")",
    "`numpy.fromfile`": "import numpy as np; np.fromfile(f, np.uint8)",
    "`numpy.memmap`": "np.memmap(f)",
    "`numpy.loadtxt`": "np.loadtxt(f, delimiter=',')",
    "`numpy.genfromtxt`": "np.genfromtxt(f, delimiter=',')",
    "`pandas.read_csv` by pyarrow": "pd.read_csv(f, engine='pyarrow')",
    "`pandas.read_csv` by the memory": "pd.read_csv(f, memory_map=True)",
    "`pandas.read_csv` of a URL": "pd.read_csv('file://localhost' + os.path.abspath(f))",
    "`pandas.read_json`": "with ignored: pd.read_json(f)",
    "`pandas.read_fwf`": "pd.read_fwf(f)",
    "`pandas.read_stata`": "with ignored: pd.read_stata(f)",
    "`pandas.read_sas`": "with ignored: pd.read_sas(f, format='xport')",
    "`sklearn.datasets.load_svmlight_file`": "import sklearn.datasets as it\nwith ignored: it.load_svmlight_file(f)",
    "`scipy.io.mmread`": "scipy.io.mmread(f'{base}.mtx')",
    "`scipy.io.loadmat`": "with ignored: scipy.io.loadmat(f)",
    "a font of matplotlib": "import matplotlib.ft2font as it\nwith ignored: it.FT2Font(f)",
    "an image": "from PIL import Image\nwith ignored: Image.open(f)",
    "a model of HiGHS": "from scipy.optimize._highspy import _core as it\nwith ignored: it._Highs().readModel(f)",
    "a certificate": "import ssl\nwith ignored: ssl.create_default_context(cafile=f)",
    "a model of xgboost": "import xgboost\nwith ignored: xgboost.XGBClassifier().load_model(f)",
    "a URL of DuckDB": "duckdb.connect().sql(f\"from 'file:{os.path.abspath(f)}'\").fetchall()",
    "a URL of pyarrow": "import pyarrow.parquet as pq; pq.read_table('file:' + os.path.abspath(f'{base}.parquet'))",
    "a URI of SQLite on this machine": "sqlite3.connect(f'file://localhost{os.path.abspath(f)}', uri=True).close()",
    "a history of readline": "import readline; readline.read_history_file(f)",
    "a font": "from PIL import ImageFont\nwith ignored: ImageFont.truetype(f)",
    "a URI of SQLite": 'sqlite3.connect(f\'file:{f.replace("data", "d%61ta")}?mode=ro\', uri=True).close()',
}
# Other code that leaves no trace, though it looks like the code of a row.
ALSO_NOT_NOTICED = {
    "a column named load": "duckdb.connect().sql('select 1 as load').query('t', 'select load from t').fetchall()",
    "a socket between threads": "import zmq; it = zmq.Context(); it.socket(zmq.PULL).bind('inproc://a'); it.destroy(0)",
    "a database in memory": "it = sqlite3.connect(':memory:')\n"
    "it.execute(\"attach ':memory:' as a\"); it.execute('create table a.t (n)')",
    "a file system that a library makes": "import pyarrow.fs as it, pyarrow.dataset as ds\n"
    "assert ds.dataset(pa.table({'a': [1]})) and issubclass(it.LocalFileSystem, it.FileSystem)\n"
    "assert isinstance(it.FileSystem.from_uri('file:///tmp')[0], it.LocalFileSystem)",
    "a socket that is only tried": "import urllib3.util.connection",
    "a text with a null": "duckdb.connect().execute('select ?', ['a\\0b']).fetchall()",
}
ALSO_UNSEEN = {
    "a query in a query": "with ignored: duckdb.connect().sql(f\"from query('from ' || '{f}')\")",
    "a pipe by DuckDB": "os.mkfifo(p := f'{base}.p.csv'); queries.query(undeclared.RECORDER, [f\"from '{p}'\"])",
    "an extension of DuckDB": "with ignored: duckdb.connect().load_extension('nowhere')",
    "a database of ADBC": "import adbc_driver_manager as it\nwith ignored: it.AdbcDatabase(driver='nowhere')",
    "a server of Flight": "import pyarrow.flight as it; it.connect('grpc://127.0.0.1:9')",
    "a store's own method": "import obstore.store as it; it.LocalStore('data').get('0.csv')",
    "a socket that waits": "import socket; socket.socket().bind(('127.0.0.1', 0))",
    "a socket of ZeroMQ": "import zmq; it = zmq.Context(); it.socket(zmq.SUB).connect('tcp://127.0.0.1:9'); "
    "it.destroy(0)",
    "a file among others": "with ignored: duckdb.sql(f\"from read_csv('{f}') a, read_csv('{base}' || '.csv') b\")",
    "a path in a variable": "with ignored: duckdb.sql(\"from read_csv(getvariable('p'))\")",
    "another file system": "import pyarrow.fs as fs, pyarrow.parquet as pq\n"
    "pq.read_table(f'{base}.parquet'[5:], filesystem=fs.SubTreeFileSystem('data', fs.LocalFileSystem()))",
    "the names of an object store": "import obstore, obstore.store as it; "
    "obstore.list_with_delimiter(it.LocalStore('data'))",
}
PROGRAM = """
import contextlib, json, os, subprocess, sys
from pathlib import Path
import pandas as pd
from samebook.reads import queries, undeclared
run = lambda source: subprocess.run([sys.executable, '-c', source], check=True)
frame, ignored = pd.DataFrame({'a': [1]}), contextlib.suppress(Exception)
undeclared.start(sys.argv[1], os.getcwd())
events, result = Path(sys.argv[1], '.events.jsonl'), {}
for number, (name, source) in enumerate(json.loads(sys.argv[2]).items()):
    base = f'data/{number}'
    f = f'{base}.csv'
    before = len(events.read_text()) if events.is_file() else 0
    undeclared.RECORDER.seen -= {item for item in undeclared.RECORDER.seen if not item.startswith('/')}
    exec(source, globals())
    result[name] = (events.read_text() if events.is_file() else '')[before:].splitlines()
print(json.dumps(result))
"""
ROWS = NAMED | UNSEEN | NOT_NOTICED | ALSO_NAMED | ALSO_UNSEEN | ALSO_NOT_NOTICED


@pytest.fixture(scope="module")
def noticed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """The events of each row."""
    root = tmp_path_factory.mktemp("reads")
    run = root / "runs" / ".partial" / "1"
    (run / "outputs").mkdir(parents=True)
    (root / "data").mkdir()
    frame = pd.DataFrame({"a": [1]})
    for number in range(len(ROWS)):
        base = root / "data" / str(number)
        base.mkdir()
        frame.to_parquet(base / "part.parquet")
        frame.to_parquet(f"{base}.parquet")
        frame.to_feather(f"{base}.feather")
        Path(f"{base}.csv").write_text("1,2\n3,4\n")
        Path(f"{base}.mtx").write_text("%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 1\n")
        Path(f"{base}.csv.gz").write_bytes(gzip.compress(b"1,2\n"))
        duckdb.connect(f"{base}.duckdb").close()
    (root / "data" / "x.csv").write_text("1,2\n3,4\n")
    style = root / STYLES / "mine.mplstyle"
    style.parent.mkdir(parents=True)
    style.write_text("lines.linewidth: 3\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG_", "MATPLOTLIB"))}
    segment = SharedMemory(create=True, size=9)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run), json.dumps(ROWS)],
        cwd=root,
        env={**env, "PYTHONWARNINGS": "ignore", "HOME": str(root), "SEGMENT": segment.name},
        capture_output=True,
        text=True,
        check=False,
    )
    segment.close()
    segment.unlink()
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout.splitlines()[-1])
    return {name: [json.loads(line) for line in lines] for name, lines in rows.items()}


@pytest.mark.parametrize("row", [*NAMED, *ALSO_NAMED])
def test_file_is_named(row: str, noticed: dict[str, list[dict[str, str]]]) -> None:
    """The file is recorded by its name and sha256, and nothing else but the names in its folder."""
    base = f"data/{list(ROWS).index(row)}"
    files = {event["name"] for event in noticed[row] if len(event["sha256"]) == 64 and event["name"][-1] != "/"}
    assert len(files) == 1
    assert {event["name"] for event in noticed[row]} - files <= {f"{base}/", "data/", f"{STYLES}/"}
    assert min(files).startswith((f"{base}.", f"{base}/", "data/x.csv", "/dev/shm/", f"{STYLES}/mine"))


@pytest.mark.parametrize("row", [*UNSEEN, *ALSO_UNSEEN])
def test_reading_is_unseen(row: str, noticed: dict[str, list[dict[str, str]]]) -> None:
    """What is read there can't be known; the run says that there was something."""
    assert "unseen" in {event["kind"] for event in noticed[row]}


@pytest.mark.parametrize("row", [*NOT_NOTICED, *ALSO_NOT_NOTICED])
def test_reading_is_not_noticed(row: str, noticed: dict[str, list[dict[str, str]]]) -> None:
    """These reads leave no trace, the first ones as the page says."""
    assert noticed[row] == []


def test_lock_is_known() -> None:
    """The compiled code of every package of the lock is known: without an own reader, or hooked."""
    files = map(str, Path(sys.prefix).rglob("*.so"))
    assert {match[1] for match in map(recorder.PACKAGE.match, files) if match} <= {*recorder.KNOWN}


def test_page_has_each_row() -> None:
    """The table on the page has these rows, each under what becomes of it, and no others."""
    cells = re.findall(
        r"^\| (?!read\b)(.+?) \| (by name and sha256|unseen|not noticed)", PAGE.read_text(), re.MULTILINE
    )
    expected = dict.fromkeys(NAMED, "by name and sha256") | dict.fromkeys(UNSEEN, "unseen")
    assert dict(cells) == expected | dict.fromkeys(NOT_NOTICED, "not noticed")
