"""Operations of the tests' table: containers."""

from .grouping import HOME, group

LIST_READING = '''
    len(x)
    x[0]
    x[-1]
    x[99]
    x['a']
    x[1:]
    x[::-1]
    x[Angle(2)]
    list(x)
    tuple(x)
    [*x]
    for_each(x)
    list(reversed(x))
    sorted(x, key=repr)
    x.index(4)
    x.index(99)
    x.count(1)
    3 in x
    99 in x
    99 not in x
    x * 2
    2 * x
    x + x
    operator.length_hint(x)
    operator.itemgetter(0, 2)(x)
    a, *b = x; (a, b)
    list(zip(x, x))
    list(enumerate(x))
    list(itertools.islice(x, 1, 3))
    list(itertools.chain(x, x))
    sum(x)
    max(x)
    any(x)
    str(x)
    x == x
    x.missing
    x()
'''
for _name, _subject in dict(
        list='[3, 1, 4, 1, 5]', tuple='(3, 1, 4, 1, 5)', range='range(1, 20, 3)',
        deque='collections.deque([3, 1, 4, 1, 5])', array='array.array("i", [3, 1, 4, 1, 5])',
        userlist='collections.UserList([3, 1, 4, 1, 5])').items():
    group(f'reading {_name}', _subject, LIST_READING)
for _name, _subject in dict(
        list='[3, 1, 4]', deque='collections.deque([3, 1, 4])',
        userlist='collections.UserList([3, 1, 4])').items():
    group(f'changing {_name} with operands', _subject, '''
        x[0] = y; x
        x[-1] = y; x[-1]
        x[99] = y
        x['a'] = y
        x.append(y); x
        x.append(y); x[-1]
        x.append(y); y in x
        x.insert(1, y); x
        x.remove(y)
        x.extend([y, y]); x
        x += [y]; x
        x.append(y); x.index(y)
        x.append(y); x.count(y)
        x.append(y); x.remove(y); x
        x.append(y); x.pop()
    ''', y='Point(1, 2)')
group('concatenation', '[1]', 'operator.concat(x, x) \n operator.iconcat(x, x)')
group('changing list', '[3, 1, 4]', '''
    x[1:2] = [7, 8, 9]; x
    x[::2] = [7, 8]; x
    x[::2] = [7]
    del x[0]; x
    del x[1:]; x
    del x[99]
    x.sort(); x
    x.sort(key=lambda v: -v); x
    x.sort(key=7)
    x.reverse(); x
    x.pop(), x.pop(0), x
    x.pop(99)
    x.clear(); x
    x *= 2; x
    x += (5, 6); x
    z = x; z += [9]; x
    x.copy()
    copy.copy(x)
    copy.deepcopy(x)
    x + (1,)
    x * 'a'
    x.__getitem__(0)
    x.__len__()
''')
group('strings', '"spam and eggs"', '''
    x + '!'
    '>' + x
    x * 2
    x % ()
    x[0]
    x[::-1]
    len(x)
    'spam' in x
    1 in x
    x.upper()
    x.split()
    x.join(['a', 'b'])
    x.encode()
    x == 'spam and eggs'
    hash(x)
    list(x)
    str(x)
    x < 'z'
    x.partition(' ')
    x.missing
    f'{x:>20}'
    {x: 1}['spam and eggs']
''')
group('bytes', 'b"spam"', '''
    x + b'!'
    x * 2
    x[0]
    x[1:]
    115 in x
    b'pa' in x
    x.decode()
    x.hex()
    list(x)
    len(x)
    hash(x)
    x == b'spam'
''')
group('bytearray', 'bytearray(b"spam")', '''
    x[0]
    x[0] = 83; x
    x[0] = 'S'
    x[0] = 999
    x += b'!'; x
    x.append(33); x
    del x[0]; x
    x.decode()
    x == b'spam'
    x.find(b'a')
    x * 2
    hash(x)
''')
MAPPING = '''
    x['a']
    x['missing']
    x[('t', 1)]
    len(x)
    'a' in x
    'missing' in x
    list(x)
    dict(x)
    {**x, 'more': 1}
    signature_log(**{k: v for k, v in x.items() if type(k) is str})
    x.get('a')
    x.get('missing')
    x.get('missing', 5)
    x.keys()
    list(x.values())
    list(x.items())
    for_each(x.items())
    x.keys() & {'a'}
    {'a'} | x.keys()
    x['b'] = 2; x
    x['a'] += 5; x['a']
    del x['a']; x
    del x['missing']
    x.pop('a'), x
    x.pop('missing')
    x.pop('missing', None)
    x.setdefault('b', 3), x
    x.update(b=2, c=3); x
    x.update({'d': 4}); x
    x.update([('e', 5)]); x
    x.clear(); x
    x.copy()
    copy.copy(x)
    copy.deepcopy(x)
    bool(x)
    list(reversed(x))
    x == x
    x != x
    x < x
    str(x)
    hash(x)
    '%(a)s' % x
    '{a}'.format_map(x)
    collections.ChainMap({}, x)['a']
    eval('a + 1', {}, x)
    json.dumps({k: v for k, v in x.items() if type(k) is str})
'''
for _name, _class in dict(
        dict='dict', OrderedDict='collections.OrderedDict', UserDict='collections.UserDict',
        defaultdict='functools.partial(collections.defaultdict, int)',
        mappingproxy='types.MappingProxyType', Counter='collections.Counter').items():
    group(f'mapping {_name}', f'{_class}({{"a": 1, ("t", 1): 2}})', MAPPING)
group('mapping with operands', '{"a": 1}', '''
    x['k'] = y; x['k']
    x['k'] = y; x
    x.get('k', y)
    x.setdefault('k', y)
    x.pop('k', y)
    x.update(k=y); x
    x.update({'k': y}); x['k']
    x.get('k', (y, [y]))
    x == y
''', y='Point(1, 2)')
group('mappings united', '{"a": 1}', '''
    x | y
    y | x
    x |= y; x
    x == y
    x != y
    x.update(y); x
''', y='{"b": 2}', kinds=HOME)
group('mapping with operands as keys', '{3: "three"}', '''
    x[y]
    x[y] = 1; x
    del x[y]; x
    y in x
    x.get(y)
    x.pop(y)
''', y='Angle(3)')
group('sets', '{1, 2, 3}', '''
    1 in x
    9 in x
    len(x)
    sorted(x)
    x | frozenset({9})
    frozenset({9}) | x
    x <= frozenset({1, 2, 3, 4})
    x == frozenset({1, 2, 3})
    x.add(9); x
    x.discard(9); x
    x.remove(9)
    x.isdisjoint({9})
    x.issubset(range(9))
    x.union([9], (10,))
    hash(x)
    copy.copy(x)
''')
group('sets with operands', '{1, 2, 3}', '''
    x | y
    y | x
    x & y
    x - y
    y - x
    x ^ y
    x <= y
    x > y
    x == y
    x |= y; x
    x &= y; x
    x -= y; x
    x ^= y; x
    x.update(y); x
''', y='{1, 9}', kinds=HOME)
# An operand that is a builtin container is not refused for being another interpreter's.
_CONCATENATED = 'x + y; \n x += y; x'
_UNITED = '\n'.join(f'x {symbol} y \n x {symbol}= y; x' for symbol in '|&-^')
for _name, _subject, _operand, _operators in (
        ('list', '[1, [2]]', '[1, [2]]', _CONCATENATED),
        ('longer list', '[1, [2]]', '[1, [2], 3]', 'operator.concat(x, y)'),
        ('tuple', '(1, [2])', '(1, [2])', _CONCATENATED),
        ('dict', '{"a": 1, "b": [2]}', '{"b": [2], "a": 1}', 'x | y \n x |= y; x'),
        ('set', '{1, (2, 3)}', '{1}', _UNITED),
        ('frozenset', 'frozenset((1, 2))', '{1}', _UNITED),
        ('dict view', '{1: 2}.keys()', '{1, 3}', _UNITED),
        ('dict keys', '{1: 2}.keys()', '{1: 5, 3: 4}.keys()', f'x <= y \n y > x \n {_UNITED}'),
        ('dict items', '{1: 2}.items()', '{1: 2, 3: [4]}.items()', 'x <= y \n x < y \n y >= x'),
        ('dict items and others', '{1: 2}.items()', '{1: 3}.items()', f'x <= y \n {_UNITED}'),
        ('default dict', 'collections.defaultdict(int, a=1)', '{"a": 1}', ''),
        ('user list', 'collections.UserList((1, [2]))', '[1, [2]]', '')):
    group(f'{_name} with an operand in kind', _subject,
          f'x == y \n y == x \n x != y \n y != x \n {_operators}', y=_operand)
for _name, _first in dict(list='[1]', deque='collections.deque([1])', dict='{1: 1}').items():
    _operator = '|' if _name == 'dict' else '+'
    group(f'{_name} that comes first in place', _first,
          f'z = u = {_first}; z {_operator}= x; (z, u is z)')
group('list that comes first repeated in place', '2', 'z = u = [1]; z *= x; (z, u is z)')
for _name, _subject, _operand in (
        ('IntEnum', 'IntColor.BLUE', 'IntColor.BLUE'), ('subclass of str', 'Text("a")', 'Text("a")'),
        ('subclass of float', 'Real(1.5)', 'Whole(1)'),
        ('named tuple', 'NamedPair(1, [2])', 'NamedPair(1, [2])')):
    group(f'{_name} with one of its kind', _subject,
          'x == y \n y == x \n x != y \n y != x \n x <= y \n y >= x', y=_operand)
group('items in kind', '[[1], {"a": [2]}, {3}]', '''
    x.index(y)
    x.count(y)
    y in x
    x.remove(y); x
    [y] == x
    x < [[1], y]
''', y='{"a": [2]}')

group('named tuple', 'NamedPair(1, "two")', '''
    x.first
    x[1]
    x._asdict()
    x._replace(first=3)
    len(x)
    a, b = x; (a, b)
    x == (1, 'two')
    hash(x)
    isinstance(x, tuple)
    x + (3,)
''')
group('struct sequence', 'time.gmtime(0)', '''
    x.tm_year
    x[0]
    len(x)
    tuple(x)
    x[:3]
    x == time.gmtime(0)[:]
    time.asctime(x[:])
''')
group('weak reference', 'weakref.ref(Point)', '''
    x().__name__
    x.__callback__
    isinstance(x, weakref.ref)
''')
group('enum', 'Color.RED', '''
    x.name
    x.value
    str(x)
    hash(x) == hash(Color.RED)
    x.__class__.__name__
    isinstance(x, Color)
''')
_EQUALITY = 'x == y \n y == x \n x != y \n y != x \n y in [x] \n {x: 1}.get(y)'
for _name, _subject, _operand in (
        ('enum', 'Color.RED', 'Color.RED'), ('enum and another member', 'Color.RED', 'Color.GREEN'),
        ('enum and its value', 'Color.RED', '1'), ('enum and another enum', 'Color.RED', 'Flags.A'),
        ('flags', 'Flags.A | Flags.B', 'Flags.B | Flags.A'), ('no flags', 'Flags(0)', 'Flags(0)'),
        ('flags and others', 'Flags.A | Flags.B', 'Flags.A')):
    group(f'{_name} compared', _subject, _EQUALITY, y=_operand)
group('enum ordered', 'Color.RED', 'x < y \n x >= y', y='Color.GREEN', kinds=HOME)
group('flags with operands', 'Flags.A', '''
    x | y
    y | x
    x & y
    x ^ y
    x | y == y
    (x | y).name
    y in x | y
    x |= y; x
''', y='Flags.B')
group('flags alone', 'Flags.A', '~x \n list(x) \n len(x) \n bool(x) \n x.name \n x.value \n x in x')
group('enum members in patterns', 'Color.RED', 'color_matched(x) \n [color_matched(c) for c in x.__class__]')
group('enum class', 'Color', '''
    x.RED
    x['GREEN'].value
    x(2).name
    x(3)
    len(x)
    [c.name for c in x]
    x.RED in x
    'RED' in x.__members__
''')
