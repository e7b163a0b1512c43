"""What lines are rules, and what is told of those that are none."""

import pytest

from clusterdns.plugins.base import Plugin
from clusterdns.plugins.rewrite import Rewrite
from tests.plugins.asking import fault, lines, new_setup, parsed

ACTIONS = ["set", "append", "replace"]
VARIABLES = ["qname", "qtype", "client_ip", "client_port", "protocol", "server_ip", "server_port"]
RULES = {  # field of the rule -> lines of that field
    "name": [
        "name a.com b.com",
        "name exact a.com b.com",
        "name prefix a.com b.com",
        "name suffix a.com b.com",
        "name substring a.com b.com",
        r"name regex ([a])\.com new-{1}.com",
        r"name regex (dns)\.(core)\.(rocks) {2}.{1}.{3} answer name (core)\.(dns)\.(rocks) {2}.{1}",
        r"name substring fcore.dns.rocks dns.fcore.rocks answer name (core)\.(dns) {2}.{1}",
        "stop name a.com b.com",
        "continue name a.com b.com",
        "NAME Exact A.com B.com",
        "Stop name a b",
        "name exact srv3.coredns.rocks srv4.coredns.rocks",
        "name suffix coredns.rocks coredns.rocks.",
        "name suffix coredns.rocks. coredns.rocks",
        "name regex srv1.coredns.rocks 10",
        "name regex (.*).coredns.rocks 10",
        "name regex (.*).coredns.rocks {1}.coredns.rocks",
        "name regex (.*).coredns.rocks {7}.coredns.rocks",
        "name regex staging.mydomain.com aws-loadbalancer-id.us-east-1.elb.amazonaws.com",
        "name suffix staging.mydomain.com coredns.rock answer auto",
        "name regex staging.mydomain.com coredns.rock answer auto",
        "name regex staging.mydomain.com coredns.rock answer name coredns.rock a.com",
        "name regex a b answer name (.*).b {1}.a name (.*).b {1}.a",
        "name regex a b answer name (.*).b {1}.a answer name (.*).b {1}.a",
        "name regex a b answer name (.*).b {1}.a value (.*).b {1}.a",
        "name regex a b answer name (.*).b {1}.a answer value (.*).b {1}.a",
        "name suffix a. b. answer value (.*).b {1}.a value (.*).b {1}.a",
        "name suffix a. b. answer value (.*).b {1}.a answer value (.*).b {1}.a",
        "name suffix a. b. answer value (.*).b {1}.a name (.*).b {1}.a",
        "name suffix a. b. answer auto answer value (.*).b {1}.a",
        "name exact a b answer auto",
        "name exact a b answer value (.*)b {1}a",
    ],
    "type": ["type any a", "type ANY HINFO", "stop type any a", "continue type any a"],
    "class": ["class ch in", "class CH IN", "stop class ch in", "continue class ch in"],
    "edns0": [
        "edns0 local set 65518 abcdefg",
        *[f"edns0 local {action} 0xffee abcdefg" for action in ACTIONS],
        *[f"edns0 local {action} 0xffee abcdefg revert" for action in ACTIONS],
        *[f"edns0 local {action} 0xffee {{{name}}}" for action in ACTIONS for name in VARIABLES],
        *[f"edns0 local {action} 0xffee {{server_port}} revert" for action in ACTIONS],
        *[f"stop edns0 local set 0xffee {{{name}}}" for name in VARIABLES],
        *[f"continue edns0 local set 0xffee {{{name}}}" for name in VARIABLES],
        "edns0 local unset 0xffee",
        "edns0 local set 0xffee {some-plugin/label}",
        "edns0 local set 0xffee 0x",
        "edns0 local set 0177756 0xABcd",
        "edns0 local set 0b11 x",
        "EDNS0 Local SET 0xffee x",
        *[f"edns0 nsid {action}" for action in [*ACTIONS, "unset"]],
        *[f"edns0 nsid {action} revert" for action in ACTIONS],
        *[f"edns0 subnet {action} 24 56" for action in ACTIONS],
        *[f"edns0 subnet {action} 24 56 revert" for action in ACTIONS],
        "edns0 subnet unset",
        *[f"{mode} edns0 local set 0xffee abcdefg" for mode in ("stop", "continue")],
        *[f"{mode} edns0 nsid set" for mode in ("stop", "continue")],
        *[f"{mode} edns0 subnet {a} 24 56" for mode in ("stop", "continue") for a in ACTIONS],
        *[f"{mode} edns0 subnet unset" for mode in ("stop", "continue")],
    ],
    "ttl": [
        f"{mode}ttl {name}"
        for mode in ("", "stop ", "continue ")
        for name in (
            "srv1.coredns.rocks 10",
            "exact srv1.coredns.rocks 15",
            "prefix coredns.rocks 20",
            "suffix srv1 25",
            "substring coredns 30",
            r"regex (srv1)\.(coredns)\.(rocks) 35",
            "range.coredns.rocks 1-2",
            "ceil.coredns.rocks -2",
            "floor.coredns.rocks 1-",
            "range.coredns.rocks 2-2",
        )
    ],
    "rcode": [
        "rcode numeric.rcode.coredns.rocks 2 0",
        "stop rcode exact match.string.rcode.coredns.rocks SERVFAIL NOERROR",
        r"continue rcode regex (regex)\.rcode\.(coredns)\.(rocks) FORMERR NOERROR",
        "rcode a servfail NotImpl",
        "rcode suffix a 23 BADCOOKIE",
    ],
    "cname": [
        "continue cname exact def.example.com xyz.example.com",
        "cname def.example.com xyz.example.com",
        "cname prefix chat.openai.com bard.google.com",
        "cname suffix uvw. xyz.",
        "cname substring efgh zzzz.www",
        r"cname regex (.*)\.web\.(.*)\.site\. {1}.webapp.{2}.org.",
    ],
}


@pytest.mark.parametrize(("field", "text"), [(key, rule) for key in RULES for rule in RULES[key]])
def test_rule(field: str, text: str) -> None:
    (line,) = rewrite(f"rewrite {text}").lines
    assert line.rule.field == field
    assert line.stops == (not text.startswith("continue"))


REFUSED = [
    ("rewrite", "1:1: rewrite takes a field: class, cname, edns0, name, rcode, ttl, type"),
    ("rewrite foo", "1:9: unknown field 'foo' of rewrite"),
    ("rewrite nam a b", "1:9: unknown field 'nam' of rewrite; did you mean 'name'?"),
    ("rewrite unknown-action name a.com b.com", "1:9: unknown field 'unknown-action'"),
    ("rewrite unknown-action edns0 nsid set", "1:9: unknown field 'unknown-action'"),
    ("rewrite stop", "1:9: stop takes a field"),
    ("rewrite continue", "1:9: continue takes a field"),
    ("rewrite answer name a b", "1:9: answer must stand behind a name rule"),
    ("rewrite name", "1:9: name takes two names at least"),
    ("rewrite name a.com", "1:9: name takes two names at least"),
    ("rewrite name a.com b.com c.com", "1:14: 'a.com' is no way to match names of name"),
    ("rewrite name substring a.com b.com c.com", "1:36: 'c.com' is too much; there can be answer"),
    (r"rewrite name regex ([a]\.com new-{1}.com", r"1:20: '([a]\\.com' is no regular expression"),
    ("rewrite name regex (?=a) b", "1:20: '(?=a)' is no regular expression"),
    ("rewrite stop name regex [bad[ bar answer name bar foo", "1:25: '[bad[' is no regular exp"),
    ("rewrite name regex a(.*) {1}.{2} ", "1:26: '{1}.{2}' uses more groups than 'a(.*)' has: 1"),
    ("rewrite name regex .* {0}.x", "1:23: '{0}.x' uses more groups than '.*' has: 0"),
    ("rewrite name exact a{1}.com b.com", "1:20: 'a{1}.com' uses more groups than 'b.com' has"),
    ("rewrite name a.com *.b.com", "1:20: '*.b.com' is no regular expression"),
    (
        r"rewrite name regex (adns)\.(core) {2}.{1} answer name (core)\.(adns) {2}.{1} too.long x",
        "1:78: 'too.long' is no answer rule: auto, name, value",
    ),
    ("rewrite name regex a b NoAnswer name a b", "1:24: 'NoAnswer' is too much; there can be"),
    ("rewrite name regex a b answer ttl a b", "1:31: 'ttl' is no answer rule: auto, name, value"),
    ("rewrite name regex a b answer name (a b", "1:36: '(a' is no regular expression"),
    ("rewrite name suffix a b answer", "1:25: nothing behind answer"),
    ("rewrite name suffix a b answer name", "1:32: answer name takes 2 arguments"),
    ("rewrite name suffix a b answer other", "1:32: 'other' is no answer rule"),
    ("rewrite name suffix a b answer value x", "1:38: answer value takes 2 arguments"),
    ("rewrite name regex a b answer name (.*).b {1}.{2}.a", "1:43: '{1}.{2}.a' uses more groups"),
    ("rewrite name regex a b answer name b c name d", "1:45: answer name takes 2 arguments"),
    ("rewrite name regex a b answer name b c value d", "1:46: answer value takes 2 arguments"),
    ("rewrite name suffix a b answer auto name b c", "1:37: auto cannot be combined with answer"),
    ("rewrite name suffix a b answer name b c auto", "1:32: auto cannot be combined with answer"),
    (f"rewrite name regex {'a' * 10001} b", "1:20: a pattern of 10001 characters, over 10000"),
    ("rewrite type", "1:9: type takes 2 arguments, not 0"),
    ("rewrite type a", "1:9: type takes 2 arguments, not 1"),
    ("rewrite type any a a", "1:20: type takes 2 arguments, not 3"),
    ("rewrite type A None", "1:16: 'None' is no type of DNS"),
    ("rewrite type XY WV", "1:14: 'XY' is no type of DNS"),
    ("rewrite type ANY WV", "1:18: 'WV' is no type of DNS"),
    ("rewrite class", "1:9: class takes 2 arguments, not 0"),
    ("rewrite class IN", "1:9: class takes 2 arguments, not 1"),
    ("rewrite class ch in in", "1:21: class takes 2 arguments, not 3"),
    ("rewrite class XY WV", "1:15: 'XY' is no class of DNS"),
    ("rewrite class IN WV", "1:18: 'WV' is no class of DNS"),
    ("rewrite edns0", "1:9: edns0 takes one of local, nsid, subnet and an action"),
    ("rewrite edns0 local", "1:9: edns0 takes one of local, nsid, subnet and an action"),
    ("rewrite edns0 unknown set", "1:15: 'unknown' is none of local, nsid, subnet"),
    ("rewrite edns0 unknown unset", "1:15: 'unknown' is none of local, nsid, subnet"),
    ("rewrite edns0 local foo 0xffee x", "1:21: 'foo' is none of set, append, replace, unset"),
    ("rewrite edns0 local set", "1:21: set takes 2 more words here, not 0"),
    ("rewrite edns0 local set 0xffee", "1:21: set takes 2 more words here, not 1"),
    ("rewrite edns0 local set 0xffee a b", "1:34: set takes 2 more words here, not 3"),
    ("rewrite edns0 local set invalid-uint abcdefg", "1:25: 'invalid-uint' is no option code"),
    ("rewrite edns0 local set 65536 x", "1:25: '65536' is no option code of 0 to 65535"),
    ("rewrite edns0 local set -1 x", "1:25: '-1' is no option code"),
    ("rewrite edns0 local set 08 x", "1:25: '08' is no option code"),
    ("rewrite edns0 local set invalid {qname}", "1:25: 'invalid' is no option code"),
    ("rewrite edns0 local set 0xffee 0xabcdefg", "1:32: '0xabcdefg' has other than pairs of hex"),
    ("rewrite edns0 local set 0xffee 0xabc", "1:32: '0xabc' has other than pairs of hexadecimal"),
    ("rewrite edns0 local set 0xffee {dummy}", "1:32: unknown variable '{dummy}'; there are"),
    ("rewrite edns0 local append 0xffee {qnam}", "1:35: unknown variable '{qnam}'; did you mean"),
    ("rewrite edns0 local set 0xffee {/x}", "1:32: unknown variable '{/x}'"),
    ("rewrite edns0 local set 0xffee {x/}", "1:32: unknown variable '{x/}'"),
    ("rewrite edns0 local unset 0xffee abcdefg", "1:34: unset takes 1 more word here, not 2"),
    ("rewrite edns0 local unset 0xffee revert", "1:34: unset takes 1 more word here, not 2"),
    ("rewrite edns0 nsid set junk", "1:24: set takes 0 more words here, not 1"),
    ("rewrite edns0 nsid unset revert", "1:26: unset takes 0 more words here, not 1"),
    ("rewrite edns0 nsid foo", "1:20: 'foo' is none of set, append, replace, unset"),
    ("rewrite edns0 subnet set -1 56", "1:26: '-1' is no length of 0 to 32 bits"),
    ("rewrite edns0 subnet set 24 -56", "1:29: '-56' is no length of 0 to 128 bits"),
    ("rewrite edns0 subnet set 33 56", "1:26: '33' is no length of 0 to 32 bits"),
    ("rewrite edns0 subnet set 24 129", "1:29: '129' is no length of 0 to 128 bits"),
    ("rewrite edns0 subnet append 24 56 72", "1:35: append takes 2 more words here, not 3"),
    ("rewrite edns0 subnet unset 24 56", "1:28: unset takes 0 more words here, not 2"),
    ("rewrite edns0 subnet unset revert", "1:28: unset takes 0 more words here, not 1"),
    ("rewrite ttl", "1:9: ttl takes a name and seconds"),
    ("rewrite ttl a", "1:9: ttl takes a name and seconds"),
    ("rewrite ttl exact a 1 2", "1:23: ttl takes a name and seconds"),
    ("rewrite ttl some a 1", "1:13: 'some' is no way to match names of ttl"),
    ("rewrite ttl a 12345678901234567890", "1:15: '12345678901234567890' is no TTL of 0 to 4294"),
    ("rewrite ttl a coredns.rocks", "1:15: 'coredns.rocks' is no TTL: write SECONDS, LOW-HIGH"),
    ('rewrite ttl a "#1"', "1:15: '#1' is no TTL"),
    ("rewrite ttl a -", "1:15: '-' is no TTL"),
    ("rewrite ttl a 2-1", "1:15: '2-1' is no TTL of 0 to"),
    ("rewrite ttl a 5-10-20", "1:15: '5-10-20' is no TTL"),
    ("rewrite ttl a +5", "1:15: '+5' is no TTL"),
    (f"rewrite ttl regex {'a' * 10001} 300", "1:19: a pattern of 10001 characters"),
    ("rewrite ttl regex (a 300", "1:19: '(a' is no regular expression"),
    ("rewrite rcode too.few 2", "1:9: rcode takes a name and two rcodes"),
    ("rewrite rcode exact too.many 2 1 0", "1:34: rcode takes a name and two rcodes"),
    ("rewrite rcode some a 2 1", "1:15: 'some' is no way to match names of rcode"),
    ("rewrite rcode a random nothing", "1:17: 'random' is no rcode, as NXDOMAIN or 3 is"),
    ("rewrite rcode a 2 nothing", "1:19: 'nothing' is no rcode"),
    ("rewrite rcode a 24 0", "1:17: '24' is no rcode"),
    (f"rewrite rcode regex {'a' * 10001} 2 3", "1:21: a pattern of 10001 characters"),
    ("rewrite cname a", "1:9: cname takes two names"),
    ("rewrite cname exact a b c", "1:25: cname takes two names"),
    ("rewrite cname some a b", "1:15: 'some' is no way to match names of cname"),
    (f"rewrite cname regex {'a' * 10001} b", "1:21: a pattern of 10001 characters"),
    ("rewrite cname regex (a b", "1:21: '(a' is no regular expression"),
    ("rewrite stop {\n}", "1:9: stop takes a field"),
    ("rewrite stop {\n name regex foo bar\n answer name bar foo\n name baz\n}", "4:7: answer name"),
    ("rewrite stop {\n answer name bar foo\n name regex foo bar\n}", "2:2: answer must stand"),
    ("rewrite stop {\n name a b {\n }\n}", "2:2: name takes no block"),
    ("rewrite name a b {\n}", "1:9: a rule stands on the line or in the block, not both"),
    ("rewrite stop {\n name a b }\n", "2:11: the } of a block must stand on a line of its own"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "rewrite stop {\n name regex foo bar\n answer name bar foo\n}",
        "rewrite stop name regex foo bar answer name bar foo",
        "rewrite {\n name regex foo bar\n answer name bar foo\n}",
        "rewrite name {\n regex foo bar\n answer name bar foo\n}",
        "rewrite {\n stop\n name\n regex\n foo\n bar answer\n name bar foo\n}",
    ],
)
def test_block_is_one_rule(text: str) -> None:
    (line,) = rewrite(text).lines
    assert line.rule.field == "name"
    assert line.stops


def test_rules_stand_in_their_order() -> None:
    found = rewrite("rewrite continue name a b\nrewrite type A AAAA\nrewrite ttl c 5")
    assert [(line.rule.field, line.stops) for line in found.lines] == [
        ("name", False),
        ("type", True),
        ("ttl", True),
    ]


def test_every_fault_is_told() -> None:
    setup = new_setup()
    Rewrite.parse(lines("rewrite name a\nrewrite type A AAAA\nrewrite ttl a b"), setup)
    assert [fault.place.line for fault in setup.faults if fault.place] == [1, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rewrite name suffix .old", "Corefile:1:18: 'suffix' is a name here, as there are two"),
        ("rewrite name a b..c", "Corefile:1:20: 'b..c' is no name: who asks for a gets SERVFAIL"),
    ],
)
def test_odd_but_accepted(text: str, expected: str) -> None:
    setup = new_setup()
    parsed(text, setup)
    assert setup.warnings[0].startswith(expected)


def rewrite(text: str) -> Rewrite:
    plugin: Plugin = parsed(text)
    assert isinstance(plugin, Rewrite)
    return plugin
