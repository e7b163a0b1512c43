"""The command line as CoreDNS has it: flags, exit codes, what is said where."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clusterdns
from clusterdns import app, cli
from clusterdns.app import App, Options
from clusterdns.cli import main
from tests.loggers import as_before
from tests.ports import free_port
from tests.scenarios.asking import At, answer, becomes
from tests.scenarios.processes import CLUSTERDNS, ended, running
from tests.scenarios.servers import COREFILE, write
from tests.scenarios.test_manifests import WEB, web

VALUES = {
    "conf": ("some/file", "corefile", "some/file"),
    "dns.port": ("1053", "port", 1053),
    "p": ("0", "port", 0),
    "manifests": ("-", "manifests", ("-",)),
    "pidfile": ("-odd", "pidfile", "-odd"),
    "drain": ("1m30s", "drain_s", 90.0),
}
SWITCHES = {"quiet": "quiet", "next-free-port": "next_free_port"}


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """`main` installs a handler."""
    with as_before():
        yield


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """What a server would have been started with."""
    seen: list[Options] = []

    def run(options: Options) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(app, "run", run)
    return seen


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("flag", VALUES)
def test_a_value_stands_behind_a_space_or_an_equals_sign(
    given: list[Options], flag: str, dashes: str
) -> None:
    value, option, meant = VALUES[flag]
    assert main([f"{dashes}{flag}", value]) == 0
    assert main([f"{dashes}{flag}={value}"]) == 0
    assert [getattr(options, option) for options in given] == [meant, meant]


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("flag", SWITCHES)
def test_a_switch_may_say_true_or_false(given: list[Options], flag: str, dashes: str) -> None:
    word = dashes + flag
    for words in ([word], [f"{word}=true"], [f"{word}=1"], [f"{word}=T"], [f"{word}=0", word]):
        assert main(words) == 0
        assert getattr(given.pop(), SWITCHES[flag]) is True
    for words in ([], [f"{word}=false"], [f"{word}=0"], [word, f"{word}=FALSE"]):
        assert main(words) == 0
        assert getattr(given.pop(), SWITCHES[flag]) is False


def test_what_is_not_said(given: list[Options]) -> None:
    assert main([]) == 0
    assert given == [Options(port=53, drain_s=20.0, banner=cli.version_text())]


def test_manifests_may_be_given_again_and_of_others_the_last_counts(given: list[Options]) -> None:
    assert main(["-manifests", "a", "--manifests=b", "-p=1", "-dns.port", "2"]) == 0
    assert given[0].manifests == ("a", "b")
    assert given[0].port == 2


ENDS: dict[str, tuple[str, int, str, str]] = {
    # words, exit code, on standard output, on standard error
    "-version": ("-version", 0, f"clusterdns-{clusterdns.__version__}\n", ""),
    "--version": ("--version", 0, f"clusterdns-{clusterdns.__version__}\n", ""),
    "-version=true": ("-version=true", 0, f"clusterdns-{clusterdns.__version__}\n", ""),
    "-plugins": ("-plugins", 0, "dns.kubernetes\n", ""),
    "--plugins, -version=false": ("--plugins -version=false", 0, "dns.whoami\n", ""),
    "an unknown flag": ("--confg x", 2, "", "there is no flag --confg; did you mean -conf?"),
    "an abbreviated flag": ("-pidfil=x", 2, "", "there is no flag -pidfil; did you mean -pidfile?"),
    "a value is missing": ("-quiet -conf", 2, "", "flag -conf needs a value"),
    "no port": ("-dns.port 99999", 2, "", "'99999' is not a port (0 to 65535)"),
    "no number": ("-p http", 2, "", "'http' is not a port"),
    "no boolean": ("-quiet=maybe", 2, "", "flag -quiet: 'maybe' is neither true nor false"),
    "an empty boolean": ("-version=", 2, "", "flag -version: '' is neither true nor false"),
    "no duration": ("-drain 20", 2, "", "'20' is no duration"),
    "a word too many": ("Corefile", 1, "", "unexpected argument 'Corefile'"),
    "a word behind a flag": ("-version x", 1, "", "unexpected argument 'x'"),
    "what looks like a flag behind --": ("-- -version", 1, "", "unexpected argument '-version'"),
    "no such Corefile": ("-conf none", 1, "", "cannot read the Corefile none: No such file"),
    "a directory": ("-conf .", 1, "", "cannot read the Corefile .: Is a directory"),
    "no such manifests": ("--manifests none", 1, "", "none: no such file or directory"),
    "no objects at all": ("-p 0", 1, "", "or give files of objects with --manifests"),
    "standard input twice": ("-conf stdin --manifests -", 1, "", "cannot both read standard input"),
    "check without a file": ("check", 1, "", "check takes one FILE"),
    "check with two files": ("check a b", 1, "", "check takes one FILE"),
    "check with an unknown flag": ("check --quiet a", 2, "", "there is no flag --quiet"),
}


@pytest.mark.parametrize(("words", "code", "said", "complaint"), ENDS.values(), ids=ENDS)
def test_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
    said: str,
    complaint: str,
) -> None:
    """Exit code and where something is said; nothing is said elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)  # tests may run in a cluster
    with pytest.raises(SystemExit) as end:  # raised by argparse, or here
        sys.exit(main(words.split()))
    printed = capsys.readouterr()
    assert end.value.code == code
    assert said in printed.out
    assert bool(said) == bool(printed.out)
    assert complaint in printed.err
    assert bool(complaint) == bool(printed.err)


@pytest.mark.parametrize("program", [(CLUSTERDNS,), (sys.executable, "-m", "clusterdns")], ids=str)
def test_the_process_ends_like_the_function(program: tuple[str, ...], tmp_path: Path) -> None:
    version = ended("--version", program=program)
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith(f"clusterdns-{clusterdns.__version__}\nlinux/".split("/")[0])
    assert ended("--nonsense", program=program).returncode == 2
    unusable = ended("-conf", "none", program=program, cwd=tmp_path)
    assert unusable.returncode == 1
    assert unusable.stdout == ""
    assert unusable.stderr == "cannot read the Corefile none: No such file or directory\n"


@pytest.mark.parametrize("word", ["-h", "--help", "-help"])
def test_help_teaches(capsys: pytest.CaptureFixture[str], word: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([word])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for flag in (*VALUES, *SWITCHES, "version", "plugins"):
        assert f"-{flag}" in text
    for lesson in ("Exit codes", "SIGTERM", "./Corefile", "| clusterdns --manifests -", "check"):
        assert lesson in text


def test_no_corefile_named_takes_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Corefile").write_text("shop.local:1053 {\n    whoami\n}\n")
    for named in (None, ""):
        [socket] = App(Options(corefile=named)).configuration.sockets
        assert (socket.zones, socket.port) == (("shop.local.",), 1053)


def test_no_corefile_at_all_takes_kubeadms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = write(tmp_path / "objects.yaml", [web()])
    found = App(Options(port=1053, manifests=(str(objects),))).configuration
    [socket] = found.sockets
    assert (socket.address, socket.port, socket.zones) == ("", 1053, (".",))
    names = ["errors", "loadbalance", "cache", "kubernetes", "loop", "forward"]
    assert [plugin.name for plugin in found.plugins if plugin.in_chain()] == names
    assert any(plugin.name == "prometheus" for plugin in found.plugins)
    assert found.health[0].lameduck == 5.0
    assert found.warnings == []


@pytest.mark.parametrize("flag", ["-dns.port", "-p"])
async def test_the_port_of_keys_without_one(tmp_path: Path, flag: str) -> None:
    """./Corefile, a port from the command line, the process id in a file, nothing said."""
    objects = write(tmp_path / "objects.yaml", [web()])
    (tmp_path / "Corefile").write_text(COREFILE.replace(".:0", "."))
    port, pidfile = free_port(), tmp_path / "pid"
    flags = (f"{flag}={port}", "-pidfile", pidfile, "--manifests", objects)
    async with running(*flags, cwd=tmp_path) as process:
        at = await process.listening()
        assert at.port == port
        await process.line("dig @127.0.0.1")
        assert await answer(at, WEB) == "10.96.0.1"
        assert pidfile.read_text() == f"{process.process.pid}\n"
        assert process.lines[:2] == [
            f".:{port} on 127.0.0.1",
            f"clusterdns-{clusterdns.__version__}",
        ]


async def test_quiet_as_a_module_with_a_corefile_from_standard_input(tmp_path: Path) -> None:
    objects = write(tmp_path / "objects.yaml", [web()])
    port = free_port()
    (tmp_path / "more").write_text("kubernetes cluster.local\n")
    corefile = f".:{port} {{\n    bind 127.0.0.1\n    log\n    import {tmp_path}/more\n}}\n"
    words = ("-m", "clusterdns", "-conf", "stdin", "-quiet", "--manifests", objects)
    async with running(*words, program=sys.executable, stdin=-1) as process:
        await process.write(corefile)
        await process.close_input()
        at = At("127.0.0.1", port)
        await becomes("10.96.0.1", lambda: answer_once_there(at, WEB), within_s=20)
        assert all(line.startswith("[INFO] 127.0.0.1:") for line in process.lines), process.text


async def answer_once_there(at: At, name: str) -> str:
    """As `answer`, over TCP, which tells when nobody listens yet."""
    try:
        return await answer(at, name, tcp=True)
    except ConnectionRefusedError:
        return "nobody listens"


FAULTS = """\
.:1053 {
    errors
    kubernets cluster.local
    kubernetes cluster.local {
        ttl never
        pod insecure
    }
    dnssec
}
.:1053 {
    whoami
}
"""


def test_check_tells_every_fault(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(FAULTS)
    found = ended("check", "Corefile", cwd=tmp_path)
    places = [line.split(": ")[0] for line in found.stderr.splitlines()]
    assert found.returncode == 1
    assert found.stdout == ""
    assert places == [f"Corefile:{at}" for at in ("3:5", "5:13", "6:9", "8:5", "10:1")]
    assert "did you mean 'kubernetes'?" in found.stderr
    assert "did you mean 'pods'?" in found.stderr
    assert ended("check", "-", stdin=FAULTS).stderr == found.stderr.replace("Corefile", "stdin")


def test_a_start_tells_the_first_fault(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(FAULTS)
    found = ended("-conf", "Corefile", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith("Corefile:3:5: ")
    assert "did you mean 'kubernetes'?" in found.stderr


def test_check_is_silent_about_what_is_good(tmp_path: Path) -> None:
    (tmp_path / "Corefile").write_text(COREFILE)
    found = ended("check", "Corefile", cwd=tmp_path)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
