"""How the operations of the table, and others told by source text, are performed.

Interpreters import this module to be told what to make and what to do.
"""

import array
import ast
import collections
import contextlib
import copy
import datetime
import decimal
import fractions
import functools
import gc
import io
import itertools
import json
import math
import operator
import os
import pathlib
import pickle
import re
import sqlite3
import struct
import threading
import time
import types
import weakref
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy, ShareScope, share

from .subjects import *


@functools.cache
def _compiled(source):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    expression = ast.Expression(last.value if last else ast.Constant(None))
    return (compile(tree, source, 'exec'),
            compile(ast.fix_missing_locations(expression), source, 'eval'))


def execute(source, namespace):
    """Execute source in a namespace; return the value of what it ends with."""
    statements, expression = _compiled(source)
    exec(statements, namespace)
    return eval(expression, namespace)


def evaluate(source, /, **names):
    """Execute source with some more names; return the value of what it ends with."""
    return execute(source, globals() | names)


def wrapped(source):
    return SharedObjectProxy(evaluate(source))


def killed(value):
    """Return a dead proxy of value, or of what it is a proxy of."""
    if type(value) is not SharedObjectProxy:
        value = SharedObjectProxy(value)
    with ShareScope() as scope:
        return scope.share(value)


def collect():
    """Collect garbage; what it drops is released between bytecodes, so there are some."""
    gc.collect()
    for _ in range(3):
        pass


#: The types whose instances cross by themselves, and those that equality tells apart.
PLAIN_TYPES = frozenset(map(type, (None, True, ..., NotImplemented, 0, '', b'')))
NATIVE_TYPES = PLAIN_TYPES | {float, complex, tuple, frozenset, slice, range}


def class_name(cls):
    return f'{cls.__module__}.{cls.__qualname__}'


def describe(value):
    """Return something that crosses by value and is the same only for the same type and value.

    An object that does not cross by itself is its class and repr, without addresses.
    """
    cls = type(value)
    if cls in PLAIN_TYPES:
        return cls.__name__, value
    if cls is float:
        return 'float', struct.pack('d', value)
    if cls is complex:
        return 'complex', describe((value.real, value.imag))
    if cls is tuple:
        return 'tuple', tuple(map(describe, value))
    if cls is frozenset:
        return 'frozenset', tuple(sorted(map(describe, value), key=repr))
    if cls in (slice, range):
        return cls.__name__, describe((value.start, value.stop, value.step))
    if isinstance(value, type):
        return 'class', class_name(value)
    name = class_name(value.__class__)
    if cls is SharedObjectProxy and value.__class__ in NATIVE_TYPES:
        name = f'needless proxy of {name}'
    return 'object', name, re.sub('0x[0-9a-fA-F]+', '0x', repr(value))


def describe_error(error):
    return 'raises', class_name(type(error)), describe(error.args), str(error)


def outcome(source, /, **names):
    """Return what came of evaluating source, described."""
    try:
        return describe(evaluate(source, **names))
    except BaseException as error:
        return describe_error(error)


def plain_outcome(row_group, source):
    operands = {name: evaluate(operand) for name, operand in row_group.operands}
    return outcome(source, x=evaluate(row_group.subject), **operands)


def perform(source, subject, operands, kind):
    """Perform an operation on a proxy where we are, with operands of a kind.

    Operands that are at home come as proxies, the others as source text.
    """
    if type(subject) is not SharedObjectProxy:
        subject = SharedObjectProxy(subject)
    if kind == 'subject dead':
        subject = killed(subject)
    values = {}
    for name, value in operands:
        if kind != 'home':
            value = evaluate(value)
        if kind == 'wrapped':
            value = SharedObjectProxy(value)
        if kind == 'dead':
            value = killed(value)
        values[name] = value
    return outcome(source, x=subject, **values)
