"""Operations of the tests' table: numbers."""

from .grouping import ALIVE, COMPARISON, NATIVE_OR_HOME, REFLECTED_COMPARISON, SYMBOLS, group

ARITHMETIC = '\n'.join([
    *(f'x {symbol} y' for symbol in SYMBOLS), 'divmod(x, y)', 'pow(x, y)',
    *(f'y {symbol} x' for symbol in SYMBOLS), 'divmod(y, x)', 'pow(y, x)'])
IN_PLACE = '\n'.join(f'x {symbol}= y; x' for symbol in SYMBOLS)
ONE_NUMBER = '''
    +x
    -x
    ~x
    abs(x)
    bool(x)
    int(x)
    float(x)
    complex(x)
    operator.index(x)
    round(x)
    round(x, 1)
    round(x, -1)
    math.trunc(x)
    math.floor(x)
    math.ceil(x)
    hash(x)
    str(x)
    format(x)
    f'{x:>12}'
    x.real
    x.__class__.__name__
'''

group('symbol', 'Symbol("x")', ARITHMETIC, y='5')
group('symbol with symbol', 'Symbol("x")', ARITHMETIC, y='Symbol("y")', kinds=ALIVE)
group('symbol in place', 'Symbol("x")', IN_PLACE, y='5')
group('symbol in place keeps identity', 'Symbol("x")',
      '\n'.join(f'z = x; x {symbol}= y; x is z' for symbol in SYMBOLS), y='5')
group('symbol alone', 'Symbol("x")', '''
    -x
    +x
    ~x
    abs(x)
    round(x)
    round(x, 2)
    round(x, None)
    math.trunc(x)
    math.floor(x)
    math.ceil(x)
''')
group('three-argument pow', 'Symbol("x")', '''
    pow(x, y, z)
    pow(x, z, y)
    pow(x, y, None)
''', y='5', z='7')
group('int', '-12345678901234567890', ARITHMETIC, y='3')
group('int in place', '-12345678901234567890', IN_PLACE.replace('x @= y; x', ''), y='3')
group('int compared', '7', f'{COMPARISON}\n{REFLECTED_COMPARISON}', y='7')
group('int and three-argument pow', '7', '''
    pow(x, y, z)
    pow(y, x, z)
    pow(y, z, x)
    pow(x, y, 0)
''', y='3', z='11')
for _name, _subject in dict(small='7', big='-12345678901234567890', true='True').items():
    group(f'{_name} int alone', _subject, ONE_NUMBER)
for _name, _subject in dict(int='3', bool='True', object='Angle(3)').items():
    group(f'{_name} as index', _subject, '''
        [10, 20, 30, 40][x]
        [10, 20, 30, 40][:x]
        'ab' * x
        range(x)
        hex(x)
        chr(x)
        math.sqrt(x)
    ''')
group('int by zero', '7', 'x / y \n x // y \n x % y \n divmod(x, y) \n x << y', y='0')
group('int with str', '7', 'x + y \n x * y \n y + x \n y * x \n x % y', y='"s"')
group('int with list', '7', 'x * y \n y * x', y='[1]')
group('float', '7.25', ARITHMETIC, y='2.5')
group('float with int', '-0.0', ARITHMETIC, y='2')
group('float compared', '7.25', f'{COMPARISON}\n{REFLECTED_COMPARISON}', y='7.25')
group('float in place', '7.25', 'x += y; x \n x -= y; x \n x *= y; x \n x **= y; x', y='2.5')
for _name, _subject in dict(float='7.25', zero='-0.0', inf='math.inf').items():
    group(f'{_name} alone', _subject, f'{ONE_NUMBER}\nmath.sin(x)')
group('complex', '2+3j', ARITHMETIC, y='1-1j')
group('complex compared', '2+3j', COMPARISON, y='2+3j', kinds=NATIVE_OR_HOME)
group('complex equality', '2+3j', 'x == y \n x != y \n y == x \n y != x', y='2+3j')
group('complex alone', '2+3j', ONE_NUMBER)
group('fraction', 'fractions.Fraction(7, 2)', ARITHMETIC, y='2')
group('fraction alone', 'fractions.Fraction(7, 2)', ONE_NUMBER)
group('decimal', 'decimal.Decimal("7.5")', ARITHMETIC, y='2')
group('decimal with decimal', 'decimal.Decimal("7.5")', f'{ARITHMETIC}\n{COMPARISON}',
      y='decimal.Decimal("2.5")')
group('decimal alone', 'decimal.Decimal("7.5")', ONE_NUMBER + '''
    x.quantize(1)
    x.sqrt()
    x.as_tuple()
''')
group('angle alone', 'Angle(3)', ONE_NUMBER)
group('bare object is no number', 'Bare()', f'{ARITHMETIC}\n{IN_PLACE}', y='3',
      kinds=NATIVE_OR_HOME)
group('bare object converts to nothing', 'Bare()', ONE_NUMBER.replace('hash(x)', ''))
group('operand asked second', 'Bare()', ARITHMETIC, y='Symbol("y")', kinds=ALIVE)
# The message names an operand that stays a proxy by the type of proxies.
group('power of three that know none', 'Bare()', '''
    with contextlib.suppress(TypeError): pow(x, y, z)
    with contextlib.suppress(TypeError): pow(y, x, z)
    with contextlib.suppress(TypeError): pow(y, z, x)
''', y='5', z='Bare()', kinds=ALIVE)
group('failing number', 'Failing()', ARITHMETIC, y='3')
group('failing number alone', 'Failing()', ONE_NUMBER)
