"""Frozen dataclasses as pytrees: how every public object of this package is made."""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(*, default: Any = dataclasses.MISSING) -> Any:
    """A field that is part of the type: a str, int, bool; changing it compiles anew."""
    return dataclasses.field(default=default, metadata={"static": True})


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def pytree(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass and a pytree whose leaves are its fields.

    Not `jax.tree_util.register_dataclass`: tree definitions of two classes registered with it
    compare equal when their fields do (jax 0.10 and 0.12), so that `jit`, whenever two hashes
    collide as well, runs one class's compiled program on another's data. CIELAB once got Oklab's.

    Example:
        >>> @pytree
        ... class A:
        ...     x: float
        >>> @pytree
        ... class B:
        ...     x: float
        >>> jax.tree.structure(A(1.0)) == jax.tree.structure(B(1.0))
        False
        >>> jax.tree.map(lambda x: 2 * x, A(1.0))
        A(x=2.0)
    """
    made: Any = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(made)
    leaves = [f.name for f in fields if not f.metadata.get("static")]
    rest = [f.name for f in fields if f.metadata.get("static")]

    def flatten_with_keys(tree):
        pairs = [(jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in leaves]
        return pairs, tuple(getattr(tree, name) for name in rest)

    def flatten(tree):
        return [getattr(tree, name) for name in leaves], tuple(getattr(tree, n) for n in rest)

    def unflatten(values, children):
        return made(**dict(zip(leaves + rest, (*children, *values), strict=True)))

    jax.tree_util.register_pytree_with_keys(made, flatten_with_keys, unflatten, flatten)
    return made
