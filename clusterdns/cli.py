"""Arguments, exit codes and signals; one function per subcommand.

The flags are CoreDNS's own, read as Go reads flags: one or two dashes, the value after `=` or a
space (whatever it looks like), booleans also as `-quiet=false`, no abbreviations.

Exit codes: 0 all went well, 1 the configuration or an input cannot be used (said on standard
error), 2 a flag is unknown or malformed, or a second Ctrl-C cut the shutdown short.
"""

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from clusterdns import __version__
from clusterdns.errors import ClusterDnsError, ConfigError

EXIT_OK, EXIT_UNUSABLE, EXIT_USAGE = 0, 1, 2

SERVE_HELP = """\
Answers DNS for a Kubernetes cluster, from its objects, under a CoreDNS Corefile.

  clusterdns -conf /etc/coredns/Corefile            as CoreDNS is started
  clusterdns --manifests examples/ -dns.port 1053   a cluster from YAML files, no root needed
  kubectl get svc,endpointslices,pods,ns -A -o yaml | clusterdns --manifests - -p 1053
                                                    a copy of the cluster you are logged in to
  clusterdns check Corefile                         every fault with file:line:column, or silence

Flags take one or two dashes, and their value after a space or "=".
"""

SERVE_EPILOG = """\
Without -conf, ./Corefile is used if there is one, else kubeadm's Corefile as far as its
directives exist here. Standard input can stand for one file: "-conf stdin" or "--manifests -".

SIGTERM: /ready says 503 at once, queries are answered for the `lameduck` of `health` and on
until none has come for 2 s (at most -drain), then the process ends with exit code 0.
Ctrl-C ends it after the lameduck; a second one at once, with exit code 2.

Exit codes: 0 fine, 1 unusable configuration or input, 2 wrong flags.
"""

PORT_HELP = "port of server blocks that name none (53)"
BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and gives the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(words[0]) if words else None
    try:
        return command(words[1:]) if command else serve(words)
    except ClusterDnsError as error:
        print(error, file=sys.stderr)
        return EXIT_UNUSABLE


def serve(words: Sequence[str]) -> int:
    """`clusterdns [FLAGS]`: runs the server until it is told to stop."""
    flags, others = _serve_parser().read(words)
    if others:
        raise ConfigError(f"unexpected argument {others[0]!r}; see clusterdns --help")
    if flags.version:
        print(version_text())
        return EXIT_OK
    if flags.plugins:
        from clusterdns.plugins.order import known

        print("\n".join(f"dns.{name}" for name in sorted(known())))
        return EXIT_OK
    if flags.conf == "stdin" and "-" in flags.manifests:
        raise ConfigError("-conf stdin and --manifests - cannot both read standard input")

    from clusterdns.app import Options, run

    return run(
        Options(
            corefile=flags.conf,
            port=flags.port,
            manifests=tuple(flags.manifests),
            pidfile=flags.pidfile,
            quiet=flags.quiet,
            drain_s=flags.drain,
            next_free_port=flags.next_free_port,
            banner=version_text(),
            state=flags.state,
            state_max_age_s=flags.state_max_age,
            audit=flags.audit,
            last_good=flags.last_good,
        )
    )


def check(words: Sequence[str]) -> int:
    """`clusterdns check FILE`: says every fault of a Corefile."""
    flags, files = _check_parser().read(words)
    if len(files) != 1:
        raise ConfigError("check takes one FILE; see clusterdns check --help")

    from clusterdns.tools.check import check_corefile

    report = check_corefile(files[0], flags.port)
    for line in (*report.warnings, *report.errors):
        print(line, file=sys.stderr)
    return EXIT_UNUSABLE if report.errors else EXIT_OK


COMMANDS = {"check": check}


def version_text() -> str:
    """Two lines, as CoreDNS prints them: name and version, then what runs it."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return (
        f"clusterdns-{__version__}\n"
        f"{platform.system().lower()}/{machine}, python{platform.python_version()}"
    )


def _serve_parser() -> "FlagParser":
    parser = FlagParser(
        prog="clusterdns",
        description=SERVE_HELP,
        epilog=SERVE_EPILOG,
        usage="clusterdns [FLAGS]\n       clusterdns check FILE",
    )
    parser.flag("conf", metavar="FILE", help='the Corefile; "stdin" for standard input')
    parser.flag("dns.port", "p", dest="port", type=_port, default=53, metavar="N", help=PORT_HELP)
    parser.flag(
        "manifests",
        action="append",
        default=[],
        metavar="PATH",
        help="objects from a YAML or JSON file, a directory of them, or - for standard input; "
        "may be given again; files are watched, and changes served at once",
    )
    parser.flag("pidfile", metavar="FILE", help="write the process id there")
    parser.flag("quiet", action="store_true", help="do not print what is served at start")
    parser.flag(
        "drain",
        type=_seconds,
        default=20.0,
        metavar="DURATION",
        help="the longest wait for the last client after SIGTERM and lameduck (20s)",
    )
    parser.flag(
        "next-free-port",
        action="store_true",
        help="where a port is taken, use the next one that is free, and say so",
    )
    parser.flag(
        "state",
        metavar="DIR",
        help="keep what the Kubernetes API listed in this folder, and answer from it after a start "
        "until the API is listed again",
    )
    parser.flag(
        "state-max-age",
        type=_seconds,
        default=86_400.0,
        metavar="DURATION",
        help="how long ago the API may have been heard for that state to be used (24h)",
    )
    parser.flag(
        "audit",
        choices=("off", "report", "heal"),
        default="heal",
        help="compare with the API every few minutes: report what differs, or list it again (heal)",
    )
    parser.flag(
        "last-good",
        metavar="DIR",
        help="keep the last Corefile that could be used in this folder, and run it, loudly, where "
        "the one that is configured cannot be",
    )
    parser.flag("version", action="store_true", help="print the version and exit")
    parser.flag("plugins", action="store_true", help="print the directives that exist and exit")
    return parser


def _check_parser() -> "FlagParser":
    parser = FlagParser(
        prog="clusterdns check",
        usage="clusterdns check [-dns.port N] FILE",
        description="Tells every fault and warning of a Corefile, one a line: "
        'file:line:column: text.\nFILE may be "-" for standard input.',
        epilog="Exit codes: 0 it can be used, 1 it cannot. Nothing is started or connected to.",
    )
    parser.flag("dns.port", "p", dest="port", type=_port, default=53, metavar="N", help=PORT_HELP)
    return parser


class FlagParser(argparse.ArgumentParser):
    """Reads words as Go's `flag` does: every flag by its whole name, a value whatever it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        self._switches: dict[str, bool] = {"h": True, "help": True}  # name -> it takes no value

    def flag(self, *names: str, **options: Any) -> None:
        """Adds a flag that takes one or two dashes; `names` mean the same."""
        options.setdefault("dest", names[0].replace("-", "_"))
        action = self.add_argument(*[f"-{name}" for name in names], **options)
        self._switches.update(dict.fromkeys(names, action.nargs == 0))

    def read(self, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The flags, and the other words; ends the process with EXIT_USAGE for a wrong flag."""
        plain: list[str] = []  # each flag in the one form that argparse cannot misread
        others: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                others += rest
            elif word == "-" or not word.startswith("-"):
                others.append(word)
            else:
                self._take(word, rest, plain)
        return self.parse_args(plain), others

    def _take(self, word: str, rest: Iterator[str], plain: list[str]) -> None:
        """Adds a flag to the plain ones; its value may be the next word of the rest."""
        name, equals, value = word[2 if word.startswith("--") else 1 :].partition("=")
        if name not in self._switches:
            near = get_close_matches(name, self._switches, n=1) or ["help"]
            self.error(f"there is no flag {word.partition('=')[0]}; did you mean -{near[0]}?")
        if self._switches[name]:
            self._switch(name, value if equals else "true", plain)
            return
        if not equals:
            following = next(rest, None)
            if following is None:
                self.error(f"flag {word} needs a value")
            value = following
        plain.append(f"-{name}={value}")

    def _switch(self, name: str, value: str, plain: list[str]) -> None:
        """Turns a flag without a value on or off, which argparse cannot; the last word counts."""
        if value.lower() not in BOOLEANS:
            self.error(f"flag -{name}: {value!r} is neither true nor false")
        flag = "-h" if name in ("h", "help") else f"-{name}"
        plain[:] = [each for each in plain if each != flag] + [flag] * BOOLEANS[value.lower()]


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def _seconds(text: str) -> float:
    from clusterdns.corefile.lexer import Token
    from clusterdns.corefile.values import duration
    from clusterdns.errors import Place

    try:
        return duration(Token(text, Place("flag", 1, 1), False))
    except ConfigError as error:
        raise argparse.ArgumentTypeError(error.message) from error
