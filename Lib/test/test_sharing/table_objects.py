"""Operations of the tests' table: comparison, text, attributes and classes of any object."""

from .grouping import ALIVE, COMPARISON, HOME, REFLECTED_COMPARISON, group

# Comparison, hash, truth, text

group('rich comparison', 'Angle(3)', f'{COMPARISON}\n{REFLECTED_COMPARISON}', y='3')
group('rich comparison with its like', 'Angle(3)', f'{COMPARISON}\n{REFLECTED_COMPARISON}',
      y='Angle(4)')
group('dataclass compared', 'Point(1, 2)', COMPARISON, y='Point(1, 3)', kinds=HOME)
group('bare object compared', 'Bare()', COMPARISON, y='3')
group('failing comparison', 'Failing()', 'x == y \n x < y \n y == x \n y > x', y='3')
group('hash and truth', 'Angle(3)', '''
    hash(x)
    hash(x) == hash(3)
    bool(x)
    not x
    {x: 'found'}[3]
    {3: 'found'}[x]
    x in {1, 2, 3}
    x and 'yes'
    x or 'no'
''')
group('false', 'Angle(360)', 'bool(x) \n not x \n 1 if x else 2')
group('truth by length', '[]', 'bool(x) \n not x')
group('unhashable', '[1]', 'hash(x)')
group('repr', 'Angle(3)', '''
    repr(x)
    f'{x!r:>12}'
    f'{x!a}'
    ascii(x)
    [x]
''', kinds=ALIVE)
group('text', 'Angle(3)', '''
    str(x)
    format(x)
    format(x, '>10')
    f'{x}'
    f'{x!s}'
    '%s %r %d %5.1f' % (x, x, x, x)
    '{0} {0:x} {0.degrees}'.format(x)
    bytes(x)
    dir(x)
    reversed(x)
    operator.length_hint(x)
    len(x)
    x.__fspath__()
    pathlib.PurePosixPath(x)
    print(x, file=(out := io.StringIO())); out.getvalue()
    ', '.join(map(str, [x, x]))
''')
group('repr that fails', 'Failing()', "repr(x) \n f'{x!r}' \n [x]", kinds=ALIVE)
group('text that fails', 'Failing()', '''
    str(x)
    format(x)
    bytes(x)
    hash(x)
    bool(x)
    len(x)
    dir(x)
    reversed(x)
    operator.length_hint(x)
    iter(x)
    next(x)
    3 in x
    x[0]
    x()
    pathlib.PurePosixPath(x)
''')
group('default text', 'Bare()', '''
    str(x)
    format(x)
    format(x, '>5')
    bytes(x)
    sorted({*dir(x)} - {'__slotnames__'})
    reversed(x)
    operator.length_hint(x)
    operator.length_hint(x, 5)
    bool(x)
''')

# Attributes

group('attributes', 'Point(3, 4)', '''
    x.x
    getattr(x, 'y')
    x.limit
    x.norm
    x.missing
    x.__missing__
    x.__getitem__
    getattr(x, 'missing', 'default')
    hasattr(x, 'missing')
    hasattr(x, 'x')
    x.x = 7; x.x
    x.norm = 9; x.x, x.y
    x.new = 'attribute'; x.new
    x.y = None; x.y
    del x.x; x.x
    del x.missing
    del x.norm
    x.new = 1; del x.new; hasattr(x, 'new')
    setattr(x, 'any name at all', 1); getattr(x, 'any name at all')
    setattr(x, '', 1); getattr(x, '')
    getattr(x, '\\ud800')
    vars(x)
    x.__dict__['x'] = 8; x.x
    x.__doc__
    x.__module__
    x.__class__.__qualname__
    x.__class__.__name__
    x.__match_args__
    operator.attrgetter('x', 'norm')(x)
    operator.methodcaller('moved', 1, dy=2)(x).norm
''')
group('names that are no str', 'signature_log', 'setattr(x, 5, 1) \n getattr(x, 5) \n x(**{1: 2})',
      kinds=ALIVE)
group('attributes set to operands', 'Point(3, 4)', '''
    x.x = y; x.x
    x.x = y; x.x == y
    setattr(x, 'new', y); x.new
    x.__setattr__('x', y); x.x
''', y='Point(1, 2)')
group('slots', 'Slotted()', '''
    x.a
    x.b
    x.b = 2; x.b
    x.c = 3
    del x.a; x.a
    x.__dict__
''')
group('dynamic attributes', 'Dynamic()', '''
    x.anything
    x.no_such
    getattr(x, 'no_such', 1)
    x.a = 1; x.b = 'c'; x.log
    del x.a; x.log
    hasattr(x, 'no_such')
    hasattr(x, 'such')
''')
group('read-only attributes', '(1).bit_length', '''
    x.__name__
    x.__self__
    x.__name__ = 'other'
    x.new = 1
''')
group('module', 'math', '''
    x.pi
    x.sqrt(4)
    x.missing
    x.__name__
''')
group('methods', 'Point(3, 4)', '''
    x.moved()
    x.moved(1)
    x.moved(1, dy=1)
    x.move(1, dy=2)
    x.move(1)
    x.move(dx=1)
    x.move(1, 2)
    x.move()
    x.moved.__name__
    x.moved.__func__.__qualname__
    x.moved.__self__
    m = x.moved; m(1), m(2)
    x.origin()
    x.add(1, 2)
    x.missing()
    x.limit()
    x.norm()
    [p.x for p in map(x.moved, [1, 2, 3])]
''')

# Classes

group('class checks', 'Point', '''
    isinstance(Point(), x)
    isinstance(7, x)
    issubclass(int, x)
    issubclass(x, object)
    issubclass(7, x)
    x.__mro__[1] is object
''')
group('class checks with operands', 'Point', '''
    isinstance(y, x)
    isinstance(y, (int, x))
''', y='Point(1, 2)', kinds=HOME)
group('overridden class checks', 'EvenNumber', '''
    isinstance(4, x)
    isinstance(5, x)
    issubclass(int, x)
    issubclass(str, x)
    isinstance('a', x)
''')
group('instances', 'Point(1, 2)', '''
    isinstance(x, Point)
    isinstance(x, int)
    isinstance(x, (int, Point))
    isinstance(7, x)
    x.__class__ is Point
''')
for _name, _subject in dict(
        list='[1]', dict='{1: 2}', set='{1}', bytearray='bytearray(b"a")',
        deque='collections.deque()', enum='Color.RED', decimal='decimal.Decimal(1)',
        file='io.StringIO()', iterator='iter([])', builtin='len', function='signature_log',
        cls='Point', exception='ValueError("v")', namedtuple='NamedPair(1, 2)',
        module='math').items():
    group(f'class of {_name}', _subject, f'''
        x.__class__.__name__
        x.__class__.__module__
        isinstance(x, type({_subject}))
        isinstance(x, (list, dict, set))
        x.__class__ is type({_subject})
    ''')
