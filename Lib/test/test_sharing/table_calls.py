"""Operations of the tests' table: calls and iteration."""

from .grouping import group

# Calls

COUNTS = (0, 1, 2, 5, 6, 7, 8, 9, 15, 16, 17, 100, 255, 256, 300)
group('call', 'signature_log', '\n'.join([
    *(f'x(*range({n}))' for n in COUNTS),
    *(f'x(**{{f"k{{i}}": i for i in range({n})}})' for n in COUNTS),
    *(f'x(*range({n}), **{{f"k{{i}}": i for i in range({n})}})' for n in COUNTS),
    'x(1, *[2, 3], 4, *(), key=5, **{"more": 6})',
    'x(self=1, cls=2, args=3, kwargs=4, obj=5, callable=6, proxy=7)',
    'x(**{"": 1, "a b": 2, "class": 3, "None": 4, "__init__": 5, "\\n": 6})',
    'x(**{"é": 1, "ß": 2, "名前": 3, "𝒳": 4, "\\ud800": 5})',
    'x(**{"k" * 10_000: 1})',
    'x(**{"a": 1}, **{"a": 2})',
    'x(None, True, ..., NotImplemented, -1.5, 1j, "s", b"b", (1, (2,)), frozenset({3}), range(3))',
    'x.__name__',
    'x.__call__(1, a=2)',
    'functools.partial(x, 1, a=2)(3, b=4)',
    'operator.call(x, 1, a=2)',
    'list(map(x, "ab", [1, 2]))',
]))
group('call by names of a str subclass', 'lambda value, *, other=None: (value, other)', '''
    x(**{Text("value"): 1})
    x(**{Word.VALUE: 1})
    x(1, **{Text("other"): 2})
    x(**{Text("value"): 1, "other": 2})
    x(**{Word.VALUE: 1, Text("other"): 2})
    x(**{Text("missing"): 1})
    x(1, **{Text("value"): 1})
    x.__call__(**{Text("value"): 1})
    functools.partial(x, **{Text("value"): 1})()
    [x(**{Text("value"): n}) for n in range(3)]
''')
group('method by names of a str subclass', 'Point(1, 2)', '''
    x.moved(**{Text("dx"): 1}).x
    x.moved(1, **{Text("dy"): 1, "dx": 2})
    [x.moved(dy=1, **{Text("dx"): n}).x for n in range(3)]
    operator.methodcaller('moved', **{Text("dy"): 1})(x).y
''')
group('call with operands', 'signature_log', '''
    x(y)
    x(y, y)
    x(a=y)
    x(y, *[y, y], b=y)
    x((y, (y,)))
''', y='Point(1, 2)')
group('call of what cannot be called', 'Bare()', 'x() \n x(1) \n x(a=1)')
group('call of a class', 'Point', '''
    x(1, 2)
    x(1, 2).norm
    x(y=3)
    x(1, 2, 3)
    x.origin()
    x.limit
    x.__name__
    x.missing
    x.x
    isinstance(x, type)
    isinstance(x(), x)
    x.moved(x(1, 2), 5)
''')
group('call of builtins', 'sum', 'x((1, 2, 3)) \n x(range(5), start=3) \n x() \n x(5)')
group('call that takes its operand', 'lambda value: (value, value)', 'x(y) \n x(value=y)', y='[1]')
group('sort key', 'lambda value: -value', '''
    sorted([3, 1, 2], key=x)
    max([3, 1, 2], key=x)
    list(map(x, [3, 1]))
    list(filter(x, [0, 1]))
    functools.reduce(lambda a, b: a + x(b), [1, 2, 3])
''')

# Iteration

group('iteration', 'iter([1, 2, 3])', '''
    next(x)
    next(x), next(x), next(x), next(x)
    next_until_exhausted(x)
    next(x), list(x), list(x), next(x, None)
    iter(x).__next__()
    for_each(x)
    operator.length_hint(x)
    2 in x
    len(x)
    x[0]
    list(zip(x, x))
    sum(x)
    tuple(x)
    list(itertools.accumulate(x))
    copy.copy(x).__next__()
''')
group('generator', 'count_to(3)', '''
    next_until_exhausted(x)
    list(x)
    next(x), x.send('hello'), next(x)
    x.send('too early')
    list(x), next(x)
    next(x), x.close(), next(x, 'closed')
    list(delegate(x))
    x.gi_frame is None
    x.__name__
''')
group('iteration over what cannot be iterated', 'Bare()', '''
    iter(x)
    for_each(x)
    list(x)
    3 in x
    dict(x)
    len(x)
    x[0]
    x[0] = 1
    del x[0]
    x['a']
    x[0:1]
''')
group('failing iteration', 'Failing()', 'for_each(x) \n list(x) \n [*x] \n a, b = x')
group('with statement', 'Block()', '''
    in_block(x)
    in_block(x, ValueError('in the block', 7))
    in_block(x, KeyError('k'))
    in_block(x, StopIteration(3))
    x.__enter__()
    x.__exit__(None, None, None); x.log
''')
group('with statement that swallows', 'Block(True)', '''
    in_block(x, ValueError('in the block', 7))
    in_block(x, KeyboardInterrupt())
''')
group('with statement without support', 'Bare()', 'in_block(x)')
group('with statement that fails', 'Failing()', 'in_block(x)')
group('exit stack', 'Block()', '''
    contextlib.ExitStack().enter_context(x)
    with_stack = contextlib.ExitStack(); with_stack.push(x); with_stack.close(); x.log
''')
