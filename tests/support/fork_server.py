"""The process that forks programs, and what makes of a fork what a start would be; see forked.py.

Run as `python fork_server.py SOCKET`. A program in a fork forks those of its own that it starts as
`python -m MODULE`, or by a shell as DVC does its nodes: they are its children either way.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import inspect
import io
import os
import pickle
import pkgutil
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
import warnings
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

# With another value of one of these, a program, or what is imported already, would start otherwise.
AT_START = (
    *("PYTHON", "LC_", "LANG", "LD_", "HOME", "XDG_", "TERM", "COLUMNS", "NO_COLOR", "TMPDIR"),
    *("OMP_", "OPENBLAS", "GOTO", "MKL", "KMP", "NPY_", "ONEDNN", "DNNL", "OV_", "OPENVINO", "MPL"),
)
# What DVC's commands import when they are called, and nodes. Not TensorFlow: its threads would not
# be there in a fork.
_IMPORTED = (
    *("celery.app", "configobj", "dulwich.client", "dvc.api", "dvc.dependency.param"),
    *("dvc.repo.experiments.executor.local", "dvc.repo.experiments.queue.tempdir"),
    *("dvc.repo.reproduce", "dvc.stage.run", "dvc_data.hashfile.checkout", "dvc_data.index.fetch"),
    *("dvc_render", "dvc_task.app", "kombu.transport.filesystem", "networkx", "numpy", "psutil"),
    *("pygit2", "requests", "rich.progress", "ruamel.yaml", "scmrepo.git", "sqltrie", "tqdm"),
    *("PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.ImageCms", "PIL.ImageOps"),
    *("PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin"),
    *("h5py", "jinja2", "matplotlib.backends.backend_agg", "matplotlib.figure", "openvino"),
    *("matplotlib.patheffects", "matplotlib.textpath", "scipy.cluster.hierarchy", "scipy.linalg"),
    *("scipy.ndimage", "scipy.optimize", "scipy.sparse.linalg", "scipy.spatial.distance"),
    *("scipy.special", "scipy.stats", "imagehash", "yaml"),
)
# The programs that one in a fork forks, and nodes.
_OF_PROGRAMS = {"dvc", "carbrand.cli", "carbrand.pipeline.dvc", "stages"}
# Where DVC ran, another would find what it left.
_DVC = {"dvc.__main__", "carbrand.pipeline.dvc"}
_NODE = re.compile(r"python -m (stages\.\w+(?: [\w./-]+)*)")
_SHELLS = {"sh", "dash", "bash"}
# What is theirs alone, by which an interpreter starts and ends.
_atexit: Any = atexit
_finalize: Any = weakref.finalize
_Popen: Any = subprocess.Popen
_runpy: Any = runpy
_threading: Any = threading
_warnings: Any = warnings
_STREAMS = ("stdin", "stdout", "stderr")
_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
# Another value of these, and a start is no fork.
_AS_USUAL = {
    **dict.fromkeys(("preexec_fn", "executable", "gid", "gids", "uid"), (None,)),
    **{"pass_fds": ((),), "shell": (False,), "start_new_session": (False,), "close_fds": (True,)},
    **{"umask": (-1,), "process_group": (None, -1), "restore_signals": (True,)},
}


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


def run_program(arguments: Sequence[str]) -> NoReturn:
    """Be `python -m …` in this process, and end as the interpreter does.

    Without what it clears away before the process is gone.
    """
    sys.argv, sys.path[0] = ["-m", *arguments[1:]], str(Path.cwd())
    sys.modules["__main__"] = types.ModuleType("__main__")
    if arguments[0] in ("dvc", *_DVC):
        import colorama

        colorama.init()  # as tqdm does where DVC imports it
    status = _status_of(arguments[0])
    _threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _status_of(module: str) -> int:
    try:
        _runpy._run_module_as_main(module)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return (stop.code or 0) & 255
        print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    else:
        return 0
    return 1


class Fresh:
    """What a program that starts finds, to be restored in forks of one that runs for some time."""

    def __init__(self) -> None:
        self._modules = set(sys.modules)
        self._environment = at_start(os.environ)
        self._path = list(sys.path)
        self._warnings = list(warnings.filters)
        streams = [getattr(sys, name) for name in _STREAMS]
        self._streams = [(s.encoding, s.errors, s.line_buffering, s.write_through) for s in streams]
        self._at_exit: list[Any] = []
        self._kept: list[object] = []
        self._register = atexit.register
        self._execute = _Popen._execute_child
        self._options = inspect.signature(self._execute)

    def watch(self) -> None:
        """Let this process fork what it would start."""

        def register(function, *arguments, **named):
            self._at_exit.append(function)
            return self._register(function, *arguments, **named)

        def execute(process, *given, **named):
            options = dict(self._options.bind(process, *given, **named).arguments)
            program = self._program(options)
            if program is None:
                self._execute(process, *given, **named)
                return
            process.pid = _fork()
            if process.pid == 0:
                self._become(program, options)
            process._child_created = True
            process._close_pipe_fds(*(options[name] for name in _PIPES))

        _atexit.register = register
        _Popen._execute_child = execute

    def _program(self, options: Mapping[str, Any]) -> list[str] | None:
        """The module and arguments of a start that can be a fork."""
        usual = all(options.get(name, values[0]) in values for name, values in _AS_USUAL.items())
        environment = options["env"] if options["env"] is not None else os.environ
        if not usual or threading.current_thread() is not threading.main_thread():
            return None
        if not isinstance(options["args"], (list, tuple)) or not isinstance(environment, Mapping):
            return None
        if at_start(environment) != self._environment:
            return None
        return _module_of([str(word) for word in options["args"]], environment)

    def _become(self, program: Sequence[str], options: Mapping[str, Any]) -> NoReturn:
        """Be a program that was started: nothing of this one is left to see or to be run."""
        self._kept += sys.modules.values()
        gc.freeze()
        _give_streams([options[name] for name in ("p2cread", "c2pwrite", "errwrite")])
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)) and number != signal.SIGINT:
                signal.signal(number, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(-1)
        if options["cwd"] is not None:
            os.chdir(options["cwd"])
        if options["env"] is not None:
            environment = dict(options["env"])
            os.environ.clear()
            os.environ.update(environment)
        self._forget()
        run_program(program)

    def _forget(self) -> None:
        for function in self._at_exit:
            atexit.unregister(function)
        self._at_exit.clear()
        _finalize._registry.clear()
        if "multiprocessing.util" in sys.modules:
            sys.modules["multiprocessing.util"]._finalizer_registry.clear()
        for name, module in list(sys.modules.items()):
            if name not in self._modules and not _is_installed(module):
                del sys.modules[name]
        warnings.resetwarnings()
        _warnings.filters.extend(self._warnings)
        sys.path[:] = self._path
        sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
        self.open_streams()
        importlib.invalidate_caches()

    def open_streams(self) -> None:
        """Let what this process prints go where its standard streams go now."""
        for number, name in enumerate(_STREAMS):
            self._kept.append(getattr(sys, name))
            stream = _open_as(number, *self._streams[number])
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _fork() -> int:
    with warnings.catch_warnings():  # of threads: the numerical libraries' know how to go on
        warnings.simplefilter("ignore")
        return os.fork()


def _module_of(words: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    if words[:2] == [sys.executable, "-m"] and words[2:3] and words[2] in _OF_PROGRAMS:
        this = sys.modules["__main__"].__spec__
        return None if this is None or this.name in _DVC else list(words[2:])
    if len(words) > 2 and words[-2] == "-c" and Path(words[0]).name in _SHELLS:
        node = _NODE.fullmatch(words[-1])
        if node and shutil.which("python", path=environment.get("PATH")) == sys.executable:
            return node[1].split()
    return None


def _is_installed(module: object) -> bool:
    """Whether it comes with Python or a package: none of a project's."""
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return not file or file.startswith((f"{sys.prefix}{os.sep}", f"{sys.base_prefix}{os.sep}"))


def _open_as(
    number: int, encoding: str, errors: str, line_buffering: bool, write_through: bool
) -> io.TextIOWrapper:
    """A standard stream, as the interpreter opens it."""
    mode, buffering = ("wb", 0 if write_through else -1) if number else ("rb", -1)
    file: Any = open(number, mode, buffering, closefd=False)  # noqa: SIM115
    by_line = line_buffering if number != 1 else os.isatty(number) and not write_through
    return io.TextIOWrapper(
        file, encoding, errors, line_buffering=by_line, write_through=write_through
    )


def _give_streams(files: Sequence[int]) -> None:
    """As its standard streams, and nothing else open. -1: this process's own."""
    copies = [os.dup(number if file == -1 else file) for number, file in enumerate(files)]
    for number, copy in enumerate(copies):
        os.dup2(copy, number)
    for file in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if file > 2:
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(file)


def _import_all() -> None:
    import colorama.initialise
    import dvc.cli
    import dvc.commands

    for module in pkgutil.iter_modules(dvc.commands.__path__, "dvc.commands."):
        importlib.import_module(module.name)
    for name in _IMPORTED:
        importlib.import_module(name)
    colorama.initialise._wipe_internal_state_for_tests()


def serve(number: int) -> None:
    _import_all()
    fresh = Fresh()
    server = socket.socket(fileno=number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    gc.disable()
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(server, 1 << 20, 3)
        if not request:
            os._exit(0)
        child = _fork()
        if child == 0:
            break
        for file in files:
            os.close(file)
        server.sendall(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    for stream, file in enumerate(files):
        os.dup2(file, stream)
        os.close(file)
    server.close()
    arguments, folder, environment = pickle.loads(request)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    fresh.open_streams()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    fresh.watch()
    run_program(arguments)


if __name__ == "__main__":
    sys.path[0] = ""
    serve(int(sys.argv[1]))
