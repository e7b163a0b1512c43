"""Arguments, exit codes and signals; one function per subcommand.

The flags are CoreDNS's own, read as Go reads flags: one or two dashes, the value after `=` or a
space, booleans also as `-quiet=false`.

Exit codes: 0 all went well, 1 the configuration or an input cannot be used (said on standard
error), 2 a flag is unknown or malformed, or a second Ctrl-C cut the shutdown short.
"""

import argparse
import platform
import sys
from collections.abc import Sequence

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

SWITCHES = ("quiet", "version", "plugins", "next-free-port")
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
    flags, extra = _serve_parser().parse_known_args(_plain_booleans(words))
    if extra:
        raise ConfigError(f"unexpected argument {extra[0]!r}; see clusterdns --help")
    if flags.version:
        print(version_text())
        return EXIT_OK
    if flags.plugins:
        from clusterdns.plugins.order import known

        print("\n".join(f"dns.{name}" for name in sorted(known())))
        return EXIT_OK

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
        )
    )


def check(words: Sequence[str]) -> int:
    """`clusterdns check FILE`: says every fault of a Corefile."""
    parser = argparse.ArgumentParser(
        prog="clusterdns check",
        description="Tells every fault and warning of a Corefile with file:line:column.",
        epilog="Exit codes: 0 it can be used, 1 it cannot. Nothing is started or connected to.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help='the Corefile; "-" for standard input')
    _add(parser, "dns.port", "p", dest="port", type=_port, default=53, metavar="N")
    flags = parser.parse_args(words)

    from clusterdns.tools.check import check_corefile

    report = check_corefile(flags.file, flags.port)
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


def _serve_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clusterdns",
        description=SERVE_HELP,
        epilog=SERVE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="clusterdns [FLAGS]\n       clusterdns check FILE",
        allow_abbrev=False,
    )
    _add(parser, "conf", metavar="FILE", help='the Corefile; "stdin" for standard input')
    _add(
        parser,
        "dns.port",
        "p",
        dest="port",
        type=_port,
        default=53,
        metavar="N",
        help="port of server blocks that name none (53)",
    )
    _add(
        parser,
        "manifests",
        action="append",
        default=[],
        metavar="PATH",
        help="objects from a YAML or JSON file, a directory of them, or - for standard input; "
        "may be given again; files are watched, and changes served at once",
    )
    _add(parser, "pidfile", metavar="FILE", help="write the process id there")
    _add(parser, "quiet", action="store_true", help="do not print what is served at start")
    _add(
        parser,
        "drain",
        type=_seconds,
        default=20.0,
        metavar="DURATION",
        help="the longest wait for the last client after SIGTERM and lameduck (20s)",
    )
    _add(
        parser,
        "next-free-port",
        action="store_true",
        help="where a port is taken, use the next one that is free, and say so",
    )
    _add(parser, "version", action="store_true", help="print the version and exit")
    _add(parser, "plugins", action="store_true", help="print the directives that exist and exit")
    return parser


def _add(parser: argparse.ArgumentParser, *names: str, **options: object) -> None:
    """Adds a flag that takes one or two dashes."""
    dashed = [dash + name for name in names for dash in ("-", "--")]
    options.setdefault("dest", names[0].replace("-", "_"))
    parser.add_argument(*dashed, **options)  # type: ignore[arg-type]  # argparse's own overloads


def _plain_booleans(words: Sequence[str]) -> list[str]:
    """The words with `-quiet=true` as `-quiet` and without `-quiet=false`, which argparse lacks."""
    plain = []
    for word in words:
        name, _, value = word.partition("=")
        if value and name.startswith("-") and name.lstrip("-") in SWITCHES:
            if value.lower() not in BOOLEANS:
                raise ConfigError(f"{word}: {value!r} is neither true nor false")
            if not BOOLEANS[value.lower()]:
                continue
            word = name
        plain.append(word)
    return plain


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
