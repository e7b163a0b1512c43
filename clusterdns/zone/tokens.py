"""The words of master-file text (RFC 1035 section 5.1), as CoreDNS takes them.

Imported only where there is such text.
"""

import dns.tokenizer

MOST_OCTETS = 255  # of a character-string, RFC 1035 section 3.3
_LINE_END = r"\010"  # as an escape


class Tokens(dns.tokenizer.Tokenizer):
    """dnspython's, with two things that it refuses: the end of a line between quotes, which is part
    of the text, and texts of TXT records that are too long for one string, which become several:
    DKIM keys stand so in many a file.
    """

    _is_escaped = False  # the next character, by a backslash

    def _get_char(self) -> str:
        character = super()._get_char()
        was_escaped, self._is_escaped = self._is_escaped, character == "\\" and not self._is_escaped
        is_text = character == "\n" and self.quoting and not was_escaped
        return _LINE_END if is_text else character

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        token = super().get(want_leading, want_comment)
        token.has_escape |= token.is_quoted_string() and _LINE_END in token.value
        return token

    def get_remaining(self, max_tokens: int | None = None) -> list[dns.tokenizer.Token]:
        """The words up to the end of the line."""
        found = super().get_remaining(max_tokens)
        return [piece for token in found for piece in _pieces(token)]


def _pieces(token: dns.tokenizer.Token) -> list[dns.tokenizer.Token]:
    """The word, in pieces that a character-string can hold."""
    if len(token.value) <= MOST_OCTETS // 4 or token.is_comment():  # no character is more than 4
        return [token]
    octets: bytes = token.unescape_to_bytes().value
    if len(octets) <= MOST_OCTETS:
        return [token]
    starts = range(0, len(octets), MOST_OCTETS)
    return [_quoted(octets[start : start + MOST_OCTETS]) for start in starts]


def _quoted(octets: bytes) -> dns.tokenizer.Token:
    text = "".join([f"\\{octet:03d}" for octet in octets])
    return dns.tokenizer.Token(dns.tokenizer.QUOTED_STRING, text, has_escape=True)
