"""Calls of functions, and what looks at each item of a list."""

from collections.abc import Iterator, Sequence
from typing import Any

from clusterdns.plugins.expressions.predicates import PREDICATES, Pair
from clusterdns.plugins.expressions.values import (
    ANY,
    LIST,
    MAP,
    Expression,
    Function,
    common,
    needed,
)
from clusterdns.plugins.query import Query


def with_value(stack: list[Any], value: Expression, body: Expression) -> Expression:
    """The body (let NAME = VALUE; BODY), for which the value is on the stack."""

    def evaluate(query: Query) -> Any:
        stack.append(value.evaluate(query))
        try:
            return body.evaluate(query)
        finally:
            stack.pop()

    sees = value.sees_client or body.sees_client
    return Expression(evaluate, body.type, sees, item=body.item)


def listed(items: Sequence[Expression]) -> Expression:
    """The list of these items."""
    return Expression(
        lambda query: [item.evaluate(query) for item in items],
        LIST,
        any(item.sees_client for item in items),
        item=common({item.type for item in items}),
    )


def mapped(keys: Sequence[Expression], values: Sequence[Expression]) -> Expression:
    """The map of these, in their order."""

    def value(query: Query) -> dict[str, Any]:
        made = (each.evaluate(query) for each in values)
        return {key.evaluate(query): found for key, found in zip(keys, made, strict=True)}

    return Expression(value, MAP, any(each.sees_client for each in (*keys, *values)))


def called(name: str, function: Function, given: list[Expression]) -> Expression:
    """A function of arguments. Raises ValueError for too many or few, and for wrong types."""
    takes = list(function.takes)
    if function.many:
        takes += takes[-1:] * (len(given) - len(takes))
    least = len(takes) - function.optional
    if not least <= len(given) <= len(takes):
        counts = f"{least} to {len(takes)}" if function.optional else str(least)
        raise ValueError(f"{name}() takes {counts} arguments, not {len(given)}")
    given = [
        needed(argument, kinds, f"{name}()") for argument, kinds in zip(given, takes, strict=False)
    ]
    kind, item = function.like(given) if function.like else (function.gives, function.item)
    return Expression(
        lambda query: function.call(query, *[each.evaluate(query) for each in given]),
        kind,
        function.sees_client or any(each.sees_client for each in given),
        item=item,
    )


def applied(
    name: str,
    items: Expression,
    predicate: Expression,
    more: Expression | None,
    stack: list[dict[str, Any]],
) -> Expression:
    """One of PREDICATES. stack: what # and its like are, the innermost last.

    more: the argument behind the predicate. Raises ValueError for wrong types.
    """
    apply, wants, gives, _, takes = PREDICATES[name]
    predicate = needed(predicate, wants, f"{name}()")
    if more is not None and not takes:
        raise ValueError(f"{name}() takes 2 arguments")
    last = [needed(more, takes, f"{name}()")] if more else []

    def pairs(query: Query) -> Iterator[Pair]:
        for number, item in enumerate(items.evaluate(query)):
            stack.append({"#": item, "#index": number})
            try:
                found = predicate.evaluate(query)
            finally:
                stack.pop()
            yield item, found

    return Expression(
        lambda query: apply(pairs(query), *[each.evaluate(query) for each in last]),
        gives,
        any(each.sees_client for each in (items, predicate, *last)),
        item=predicate.type if name == "map" else items.item if gives == LIST else ANY,
    )


def reduced(
    items: Expression,
    predicate: Expression,
    start: Expression | None,
    stack: list[dict[str, Any]],
) -> Expression:
    """One value of all items: of each, and of what came of those before."""

    def value(query: Query) -> Any:
        found = items.evaluate(query)
        if start is None and not found:
            raise ValueError("reduce() of nothing, and no start")
        result = found[0] if start is None else start.evaluate(query)
        for number, item in enumerate(found):
            if number or start is not None:
                stack.append({"#": item, "#index": number, "#acc": result})
                try:
                    result = predicate.evaluate(query)
                finally:
                    stack.pop()
        return result

    sees = any(each.sees_client for each in (items, predicate, start) if each)
    return Expression(value, ANY, sees)
