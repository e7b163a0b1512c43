"""Types, classes and rcodes in words, for logs: the words that CoreDNS's logs have."""


def _from(first: int, words: str) -> dict[int, str]:
    return dict(enumerate(words.split(), first))


_TYPES = {
    0: "None",
    **_from(1, "A NS MD MF CNAME SOA MB MG MR NULL"),
    **_from(12, "PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT"),
    **_from(23, "NSAP-PTR SIG KEY PX GPOS AAAA LOC NXT EID NIMLOC SRV ATMA"),
    **_from(35, "NAPTR KX CERT"),
    39: "DNAME",
    **_from(41, "OPT APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID"),
    **_from(50, "NSEC3 NSEC3PARAM TLSA SMIMEA"),
    **_from(55, "HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD"),
    **_from(64, "SVCB HTTPS"),
    **_from(99, "SPF UINFO UID GID UNSPEC NID L32 L64 LP EUI48 EUI64"),
    128: "NXNAME",
    **_from(249, "TKEY TSIG IXFR AXFR MAILB MAILA ANY URI CAA AVC"),
    260: "AMTRELAY",
    261: "RESINFO",
    32768: "TA",
    32769: "DLV",
    65535: "Reserved",
}
_NUMBERS = {text: number for number, text in _TYPES.items()}
_CLASSES = {1: "IN", 2: "CS", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
_CLASS_NUMBERS = {text: number for number, text in _CLASSES.items()}
_RCODES = {
    **_from(0, "NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET"),
    **_from(9, "NOTAUTH NOTZONE DSOTYPENI"),
    **_from(16, "BADSIG BADKEY BADTIME BADMODE BADNAME BADALG BADTRUNC BADCOOKIE"),
}
_RCODE_NUMBERS = {text: number for number, text in _RCODES.items()} | {"NOTIMPL": 4}


def type_text(qtype: int) -> str:
    """AAAA; TYPE12345 for one without a name (RFC 3597 section 5)."""
    return _TYPES.get(qtype) or f"TYPE{qtype}"


def type_number(text: str) -> int | None:
    """The type of this name, in upper case; None where there is none."""
    return _NUMBERS.get(text)


def class_text(qclass: int) -> str:
    """IN; CLASS12345 for one without a name (RFC 3597 section 5)."""
    return _CLASSES.get(qclass) or f"CLASS{qclass}"


def class_number(text: str) -> int | None:
    """The class of this name, in upper case; None where there is none."""
    return _CLASS_NUMBERS.get(text)


def rcode_text(rcode: int) -> str:
    """NXDOMAIN; the number for one without a name. 16 is BADSIG, which an OPT calls BADVERS."""
    return _RCODES.get(rcode) or str(rcode)


def rcode_number(text: str) -> int | None:
    """The rcode of this name, in upper case; None where there is none. NOTIMPL is NOTIMP too."""
    return _RCODE_NUMBERS.get(text)
