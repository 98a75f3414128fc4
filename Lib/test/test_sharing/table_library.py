"""Operations of the tests' table: copying, and what the standard library brings."""

from .grouping import group

# Copying and pickling

for _name, _subject in dict(
        object='Point(1, [2])', list='[1, [2]]', dict='{"a": [1]}', enum='Color.RED',
        function='signature_log', cls='Point', deque='collections.deque([1])',
        decimal='decimal.Decimal("1.5")').items():
    group(f'copies of {_name}', _subject, '''
        copy.copy(x)
        copy.deepcopy(x)
        pickle.loads(pickle.dumps(x))
        pickle.loads(pickle.dumps(x, 2))
        pickle.loads(pickle.dumps([x, {'k': x}]))
        type(pickle.loads(pickle.dumps(x)))
    ''')
group('pickling what cannot be pickled', 'threading.Lock()', '''
    pickle.dumps(x)
    copy.copy(x)
''')

# Files, patterns, dates, databases, locks

group('text file', 'io.StringIO("one\\ntwo\\n")', '''
    x.read()
    x.readlines()
    x.readline()
    list(x)
    next(x)
    for_each(x)
    x.write('three'); x.getvalue()
    x.write(b'three')
    print('a', 1, sep='-', end='.', file=x); x.getvalue()
    json.dump({'a': [1, None]}, x); x.getvalue()
    x.seek(99); write_csv(x)
    list(csv.reader(x))
    x.writelines(['a', 'b']); x.getvalue()
    x.close(); x.closed
    x.close(); x.read()
    with_redirected_stdout(x)
''')
group('with statement of a file', 'io.StringIO("one")', '''
    contextlib.closing(x).__enter__().read()
    x.__enter__().read(); x.__exit__(None, None, None); x.closed
''')
group('json from a file', 'io.StringIO("[1, 2.5, null, {}]")', 'json.load(x)')
group('binary file', 'io.BytesIO(b"\\x01\\x02\\x03")', '''
    x.read(2)
    x.write(b'abcd'), x.getvalue()
    x.seek(0, 2), x.tell()
    pickle.dump({'a': 1}, x); x.seek(0); pickle.load(x)
    io.TextIOWrapper(x, encoding='latin-1').read()
''')
group('patterns', 're.compile(r"(?P<word>[a-z]+)([0-9]*)")', '''
    x.match('ab12').group(1, 2)
    x.match('ab12')['word']
    x.match('ab12').span()
    x.match('---')
    x.findall('a1 b2')
    x.sub('<\\\\1>', 'a1 b2')
    x.sub(lambda m: m.group('word').upper(), 'a1 b2')
    [m.group() for m in x.finditer('a1 b2')]
    x.split('1a2')
    x.pattern
    x.groupindex
    x.match(5)
    re.sub(x, '', 'a1-b2')
''')
group('dates', 'datetime.datetime(2026, 1, 31, 12)', '''
    x.year
    x.isoformat()
    f'{x:%Y-%m}'
    str(x)
    x.replace(day=1)
    x.replace(day=99)
    hash(x) == hash(datetime.datetime(2026, 1, 31, 12))
    x.__class__ is datetime.datetime
    isinstance(x, datetime.date)
    x.timetuple()[:3]
    x + 1
''')
group('paths', 'pathlib.PurePosixPath("/usr/lib")', '''
    x / 'python'
    '/' / x
    x.name
    x.parent
    str(x)
    x.__fspath__()
    pathlib.PurePosixPath(x)
    x.parts
    hash(x) == hash(pathlib.PurePosixPath('/usr/lib'))
    x < 5
''')
for _name, _subject in {'path': 'pathlib.Path("/")', 'text of a subclass': 'Text("/")',
                        'bytes of a subclass': 'Data(b"/")'}.items():
    group(f'file named by {_name}', _subject, '''
        os.fspath(x)[:]
        os.path.exists(x)
        os.path.isdir(x)
        os.stat(x).st_ino
        os.access(x, os.R_OK)
        operator.index(x)
        open(x)
    ''')
group('file by its number', '0', '''
    os.path.exists(x)
    os.stat(x).st_ino
    open(x, closefd=False).close()
''')
group('database', 'sqlite3.connect(":memory:")', '''
    x.execute('select 1, 2.5, null, "a"').fetchone()
    x.execute('select ?', (7,)).fetchall()
    rows_of_new_table(x)
    x.execute('create table t (a)'); x.commit(); x.total_changes
    x.execute('select * from missing')
    x.create_function('absolute', 1, abs); x.execute('select absolute(-21)').fetchone()
    [row for row in x.execute('values (1), (2)')]
    x.close(); x.execute('select 1')
''')
group('parameters of statements', 'sqlite3.connect(":memory:")', '''
    x.execute('select :a, :b', {'a': 1, 'b': 'two'}).fetchone()
    x.execute('select :a', collections.OrderedDict(a=1)).fetchone()
    x.execute('select :a', collections.defaultdict(int)).fetchone()
    x.execute('select :a', collections.UserDict(a=1)).fetchone()
    x.execute('select :a', {}).fetchone()
    x.execute('select ?', {'a': 1}).fetchone()
    x.cursor().execute('select :a', {'a': 5}).fetchall()
    x.execute('select ?, ?', [1, None]).fetchone()
    x.execute('select ?', collections.deque([1])).fetchone()
    x.execute('select ?', [1, 2])
    x.execute('select ?', 5)
    x.execute('select ?', (bytearray(b'abc'),)).fetchone()
    rows_inserted(x, [(1, 2), [3, 4]])
    rows_inserted(x, iter([(1, 2), (3, 4)]))
    rows_inserted(x, ((n, n) for n in range(3)))
    rows_inserted(x, [{'a': 1, 'b': 2}, {'a': 3, 'b': 4}], ':a, :b')
''')
# Of functions that know nothing of the connection: else it were a cycle across interpreters.
group('callbacks of a database', 'sqlite3.connect(":memory:")', '''
    x.create_function('upper2', 1, upper); x.execute('select upper2("a")').fetchone()
    x.create_function('fail', 0, fail); x.execute('select fail()').fetchone()
    x.create_aggregate('total2', 1, Total); x.execute('select total2(5)').fetchone()
    x.create_collation('last', descending); x.execute('select "a" < "b" collate last').fetchone()
    x.row_factory = row_as_dict; x.execute('select 1 as a, 2 as b').fetchone()['b']
    x.text_factory = upper; x.execute('select "abc"').fetchone()
    x.set_authorizer(deny); x.execute('select 1')
    seen = []; x.set_trace_callback(seen.append); x.execute('select 1'); seen
    x.execute('select ?', (Adapted(),)).fetchone()
    list(x.iterdump())
''')
group('cursor', 'sqlite3.connect(":memory:").execute("values (1, 2.5), (2, null)")', '''
    x.fetchone(), x.fetchone(), x.fetchone()
    x.fetchmany(1), x.fetchall()
    next(x), list(x)
    for_each(x)
    x.description, x.rowcount, x.lastrowid
    x.execute('create table t (a)'); x.executemany('insert into t values (?)', [(1,), (2,)]).rowcount
    x.execute('select ?, :b', (1,)).fetchone()
    x.connection.execute('select 3').fetchone()
    x.arraysize = 2; x.fetchmany()
    x.close(); x.fetchone()
''')
group('memory view', 'memoryview(bytearray(b"abcdef"))', '''
    x[1], x[-1], x[9]
    bytes(x[1:3]), x[::2].tolist()
    x[0] = 65; x.tobytes()
    x[0:2] = b'zz'; bytes(x)
    x[0:2] = b'z'
    len(x), x.nbytes, x.format, x.shape, x.readonly, x.contiguous
    x.cast('H').tolist()
    x == b'abcdef', x == b'abc'
    list(x), 97 in x, list(reversed(x))
    x.hex(), x.toreadonly().readonly
    hash(x)
    x.release(); x[0]
''')
for _class in ('Lock', 'RLock'):
    group(f'threads with {_class}', f'threading.{_class}()', '''
        x.acquire(), blocked(x), x.release()
        blocked(x)
        x.acquire(timeout=0), blocked(x), x.release(), blocked(x)
        x.release()
        x.__enter__(), blocked(x), x.__exit__(None, None, None), blocked(x)
    ''')
group('event', 'threading.Event()',
      'x.is_set() \n x.set(); x.is_set() \n x.wait(0) \n x.set(); x.wait()')
group('partial', 'functools.partial(signature_log, 1, a=2)',
      'x() \n x(3, b=4) \n x.args \n x.func')
group('namespace', 'types.SimpleNamespace(a=1)', 'x.a \n x.b = 2; x')
