"""Exceptions cross as themselves where they can, and tell where they come from."""

import builtins
import pickle
import queue
import subprocess
import sys
import traceback
import types
import unittest
from concurrent import interpreters
from concurrent.interpreters import RemoteError, RemoteTraceback, SharedObjectProxy

from . import operations
from .support import MAIN, SharingTestCase, add_directions


# In the interpreters

class OwnError(Exception):
    """Known wherever this module is imported."""

    def __init__(self, *args, **attributes):
        super().__init__(*args)
        vars(self).update(attributes)


class PickyError(Exception):
    """Cannot be made again of its arguments."""

    def __init__(self, one, two):
        super().__init__(one)


class MuteError(Exception):
    def __str__(self):
        raise ValueError('no text')

    __repr__ = __str__


class StubbornError(Exception):
    def __reduce_ex__(self, protocol):
        raise ValueError('not to be pickled')


class OwnGroup(ExceptionGroup):
    pass


class Unimportable:
    """Where a class is that has no name in its module."""

    @staticmethod
    def error(*args):
        class HiddenError(Exception):
            pass
        return HiddenError(*args)


def noted(error, *notes):
    for note in notes:
        error.add_note(note)
    return error


def having(error, **attributes):
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def made(source):
    return operations.evaluate(source, **globals())


def raiser(source):
    raise made(source)


def raise_first():
    raise noted(KeyError('first'), 'of the first')


def raise_from():
    try:
        raise_first()
    except KeyError as error:
        raise ValueError('second') from error


def raise_while_handling():
    try:
        raise_first()
    finally:
        raise ValueError('second')


def raise_from_none():
    try:
        raise_first()
    except KeyError:
        raise ValueError('second') from None


def recurse(depth):
    if depth:
        recurse(depth - 1)
    raiser('ValueError(1)')


class Clauses:
    """Classes that other interpreters know as proxies; one of them they have themselves."""

    class Error(Exception):
        pass

    class Derived(Error):
        pass

    class Other(Exception):
        pass

    Known = OwnError

    class Plain:
        pass

    def error(self, name):
        return KeyError() if name == 'KeyError' else getattr(self, name)()

    def fail(self, name):
        raise self.error(name)

    def fail_all(self):
        raise ExceptionGroup('g', list(map(self.error, ('Derived', 'Other', 'Known', 'KeyError'))))


def make_clauses():
    for name in 'Error', 'Derived', 'Other':
        getattr(Clauses, name).__qualname__ = f'of <locals>.{name}'
    return SharedObjectProxy(Clauses())


def raise_nested_group(depth):
    error = ValueError(1)
    for _ in range(depth):
        error = ExceptionGroup('g', [error])
    raise error


def call_back(function, source):
    return function(source)


def wrapped(name):
    return SharedObjectProxy(globals()[name])


#: The attributes that exceptions have of their own.
ATTRIBUTES = '''errno strerror filename filename2 characters_written name obj value code encoding
    object start end reason path name_from msg lineno offset text end_lineno end_offset
    print_file_and_line message doc pos colno returncode cmd extra other __notes__'''.split()


def picture(error):
    """Describe an exception with all that is to cross."""
    return (operations.describe_error(error),
            tuple((name, operations.describe(tuple(value) if name == '__notes__' else value))
                  for name in ATTRIBUTES if (value := getattr(error, name, error)) is not error),
            tuple(map(picture, getattr(error, 'exceptions', ()))))


def caught(function, *args):
    try:
        result = function(*args)
    except BaseException as error:
        return error
    return AssertionError('nothing was raised', result)


def picture_of_raised(function, source):
    return picture(caught(function, source))


def type_of_raised(function, *args):
    return type(caught(function, *args)).__name__


def picture_of_made(source):
    return picture(made(source))


def picture_through_callback(function, source):
    return picture(caught(function, raiser, source))


def picture_of_remote(function, source):
    """Describe a RemoteError: what it says, and what its proxy of the exception says."""
    error = caught(function, source)
    if type(error) is not RemoteError:
        return picture(error)
    info = error.excinfo
    return (isinstance(error, interpreters.InterpreterError),
            type(error.exception) is SharedObjectProxy,
            operations.describe(error.exception.args), info.type.__name__, info.msg,
            f'{info.type.__name__}: {info.msg}' in info.formatted, 'in raiser' in info.formatted,
            info.msg in str(error) and info.type.__name__ in str(error))


def cause_of_raised(function, *args):
    error = caught(function, *args)
    if error.__cause__ is None:
        return None
    return (type(error.__cause__) is RemoteTraceback, str(error.__cause__),
            ''.join(traceback.format_exception(error)))


def argument_locked(function, source):
    """Use the lock that is an argument of an exception."""
    error = caught(function, source)
    if type(error) is RemoteError:
        error = error.exception
    return error.args[0].locked()


def make_module(name):
    module = types.ModuleType(name)
    exec('class ModuleError(Exception): pass', vars(module))
    sys.modules[name] = module


def forget_module(name):
    sys.modules.pop(name, None)


def raise_of_module(name):
    raise sys.modules[name].ModuleError('m', 1)


def kind_of_raised(function, name):
    error = caught(function, name)
    module = sys.modules.get(name)
    return type(error).__name__, bool(module) and type(error) is module.ModuleError, error.args


# The tables

ODD_SIGNATURES = {'UnicodeDecodeError', 'UnicodeEncodeError', 'UnicodeTranslateError',
                  'BaseExceptionGroup', 'ExceptionGroup', 'PythonFinalizationError'}

BUILTIN = sorted(name for name, cls in vars(builtins).items()
                 if isinstance(cls, type) and issubclass(cls, BaseException)
                 and cls.__name__ == name and name not in ODD_SIGNATURES)

AS_THEMSELVES = [
    *(f'{name}()' for name in BUILTIN),
    *(f'{name}("a")' for name in BUILTIN),
    *(f'{name}("a", 1)' for name in BUILTIN
      if not issubclass(getattr(builtins, name), SyntaxError)),
    'OSError(2, "no such", "file")', 'OSError(2, "no such", "file", None, "other")',
    'OSError(13, "denied", b"bytes")', 'FileNotFoundError(2, "no such", "file")',
    'PermissionError(13, "denied")', 'BlockingIOError(11, "again", 5)', 'OSError(1, 2, 3)',
    'KeyError(("a", 1))', 'KeyError(None)', 'KeyError([1])', 'KeyError(Point(1, 2))',
    'AttributeError("m", name="n", obj=7)', 'AttributeError("m", name="n", obj=[1])',
    'NameError("m", name="n")', 'UnboundLocalError("m", name="n")',
    'StopIteration(5)', 'StopIteration([1])', 'StopAsyncIteration("v")', 'GeneratorExit("x")',
    'SystemExit(3)', 'SystemExit("text")', 'SystemExit(None)', 'SystemExit([1])',
    'UnicodeDecodeError("utf-8", b"a\\xff", 1, 2, "bad")',
    'UnicodeEncodeError("ascii", "a\\xff\\ud800", 1, 2, "bad")',
    'UnicodeTranslateError("a\\xff", 1, 2, "bad")',
    'ImportError("m", name="n", path="p", name_from="f")', 'ModuleNotFoundError("m", name="n")',
    'SyntaxError("m", ("file", 1, 2, "text", 3, 4))', 'SyntaxError("m", (None, 1, None, None))',
    'IndentationError("m", ("file", 1, 2, "text"))', 'TabError("m")',
    'ValueError()', 'ValueError(None, True, 1.5, 2**100, b"b", "\\ud800", (1, (2,)))',
    'ValueError("x" * 1_000_000)', 'ValueError(*range(1000))',
    'ValueError([1], {2: 3}, Point(1, 2))',
    'ValueError(ValueError("inner"))', 'ValueError(ValueError)',
    'noted(ValueError("v"), "one", "two \\u0394")', 'noted(KeyError("k"), "")',
    'having(ValueError("v"), extra=1, other="x")', 'having(OSError(2, "m"), extra=[1])',
    'ExceptionGroup("g", [ValueError(1)])',
    'ExceptionGroup("g", [ValueError(1), ExceptionGroup("h", [KeyError("k"), OSError(2, "m")])])',
    'BaseExceptionGroup("g", [KeyboardInterrupt(), SystemExit(2)])',
    'noted(ExceptionGroup("g", [noted(ValueError(1), "inner")]), "outer")',
    'ExceptionGroup("g", [ValueError(i) for i in range(100)])',
    'OwnError()', 'OwnError("a", 1)', 'OwnError("a", extra=1, other="o")', 'OwnError([1])',
    'noted(OwnError("a"), "note")', 'ExceptionGroup("g", [OwnError("a"), ValueError(1)])',
    'json.JSONDecodeError("m", "document", 3)', 'decimal.InvalidOperation("m")',
    'struct.error("m")', 'sqlite3.OperationalError("m")', 're.PatternError("m", "(", 0)',
    'queue.Empty()',
    'subprocess.CalledProcessError(3, "command")',
]

NOTED = ['noted(ValueError("v"), "one")', 'noted(OwnError("o"), "one")',
         'noted(ExceptionGroup("g", [OSError(1)]), "one")', 'noted(PickyError(1, 2), "one")']

#: Source and what it says: exceptions that the caller cannot make again.
REMOTE = {
    'Unimportable.error("m", 1)': ("('m', 1)", 'HiddenError'),
    'PickyError("m", 2)': ('m', 'PickyError'),
    'StubbornError("m")': ('m', 'StubbornError'),
}


class ErrorsTest:

    def function(self, name):
        return self.owner().call(wrapped, name)

    def test_exception_arrives_as_itself(self):
        function = self.function('raiser')
        for source in AS_THEMSELVES:
            with self.subTest(source):
                self.assertEqual(self.caller().call(picture_of_raised, function, source),
                                 picture_of_made(source))

    def test_exception_of_a_callback_arrives_as_itself(self):
        function = self.function('call_back')
        for source in AS_THEMSELVES:
            with self.subTest(source):
                self.assertEqual(self.caller().call(picture_through_callback, function, source),
                                 picture_of_made(source))

    def test_unknown_exception_is_a_remote_error(self):
        function = self.function('raiser')
        for source, (message, name) in REMOTE.items():
            with self.subTest(source):
                args = operations.describe(made(source).args)
                self.assertEqual(self.caller().call(picture_of_remote, function, source),
                                 (True, True, args, name, message, True, True, True))

    def test_class_is_the_callers_once_it_has_one(self):
        name = 'test_sharing_module_of_one'
        function = self.function('raise_of_module')
        self.owner().call(make_module, name)
        self.addCleanup(self.owner().call, forget_module, name)
        kind, known, args = self.caller().call(kind_of_raised, function, name)
        self.assertEqual((kind, known), ('RemoteError', False))
        self.caller().call(make_module, name)
        self.addCleanup(self.caller().call, forget_module, name)
        kind, known, args = self.caller().call(kind_of_raised, function, name)
        self.assertEqual((kind, known, args), ('ModuleError', True, ('m', 1)))

    def test_exception_without_text_arrives(self):
        function = self.function('raiser')
        self.assertEqual(self.caller().call(class_of_raised, function, 'MuteError("m")'),
                         ('MuteError', ('m',)))

    def test_argument_that_cannot_be_pickled_can_be_used(self):
        function = self.function('raiser')
        for source in ('ValueError(threading.Lock())', 'OwnError(threading.Lock())',
                       'Unimportable.error(threading.Lock())'):
            with self.subTest(source):
                self.assertIs(self.caller().call(argument_locked, function, source), False)

    def test_traceback_is_the_cause_and_names_the_interpreter(self):
        function = self.function('raiser')
        number = self.owner().call(interpreters.get_current).id
        for source in ('ValueError("v")', 'OwnError("o")', 'Unimportable.error("u")',
                       'KeyboardInterrupt()', 'SystemExit(1)',
                       'ExceptionGroup("g", [OSError(1)])'):
            with self.subTest(source):
                right_type, text, printed = self.caller().call(cause_of_raised, function, source)
                self.assertTrue(right_type)
                self.assertRegex(text, rf'\binterpreter {number}\b')
                self.assertIn('in raiser', text)
                self.assertIn('test_errors.py', text)
                self.assertIn(text, printed)

    def test_traceback_of_a_callback_names_the_interpreter_between(self):
        function = self.function('call_back')
        number = self.owner().call(interpreters.get_current).id
        _, _, printed = self.caller().call(cause_of_callback, function)
        self.assertRegex(printed, rf'\binterpreter {number}\b')
        self.assertIn('in raiser', printed)
        self.assertIn('in call_back', printed)

    def test_control_flow_has_no_traceback(self):
        function = self.function('raiser')
        for source in ('StopIteration(1)', 'StopAsyncIteration()', 'GeneratorExit()'):
            with self.subTest(source):
                self.assertIsNone(self.caller().call(cause_of_raised, function, source))


    def test_note_can_be_added_to_an_exception_that_brought_some(self):
        function = self.function('raiser')
        for source in NOTED:
            with self.subTest(source):
                self.assertEqual(self.caller().call(note_raised, function, source),
                                 (list, ['one', 'two']))

    def test_what_led_to_an_exception_is_told(self):
        for name, connection in (('raise_from', 'direct cause'),
                                 ('raise_while_handling', 'During handling')):
            with self.subTest(name):
                text = self.caller().call(cause_of_raised, self.function(name))[1]
                first, _, rest = text.partition(connection)
                self.assertIn("KeyError: 'first'\nof the first\n", first)
                self.assertIn('in raise_first', first)
                self.assertIn(f'in {name}', rest)
        text = self.caller().call(cause_of_raised, self.function('raise_from_none'))[1]
        self.assertNotIn('KeyError', text)

    def test_long_traceback_tells_the_innermost_frames(self):
        text = self.caller().call(cause_of_raised, self.function('recurse'), 200)[1]
        self.assertEqual(text.count('in recurse\n'), 49)
        self.assertEqual(text.count('in raiser\n'), 1)
        self.assertIn('152 frames', text)

    def test_traceback_can_be_pickled_as_text(self):
        self.assertTrue(self.caller().call(pickled_cause_is_text, self.function('raiser')))

    def test_group_of_an_own_class_arrives_as_that(self):
        function = self.function('raiser')
        name, members, own = self.caller().call(
            group_raised, function, 'having(OwnGroup("g", [OwnError(1), KeyError(2)]), own=3)')
        self.assertEqual((name, members, own),
                         ('OwnGroup', [('OwnError', (1,)), ('KeyError', (2,))], 3))

    def test_group_nested_deeper_than_the_stack_is_a_recursion_error(self):
        kind = self.caller().call(type_of_raised, self.function('raise_nested_group'), 100_000)
        self.assertEqual(kind, 'ExceptionGroup' if type(self) is SameInterpreterErrorsTest
                               else 'RecursionError')

    def test_except_clause_names_classes_of_the_owner(self):
        clauses = self.owner().call(make_clauses)
        for raised, caught_by in (('Error', 0), ('Derived', 0), ('Other', 1), ('Known', 2),
                                  ('KeyError', None)):
            with self.subTest(raised):
                self.assertEqual(self.caller().call(clause_that_catches, clauses, raised),
                                 caught_by)

    def test_except_star_names_classes_of_the_owner(self):
        clauses = self.owner().call(make_clauses)
        self.assertEqual(self.caller().call(clauses_that_catch, clauses),
                         {'derived': 1, 'tuple': 2, 'left': ['KeyError']})

    def test_known_class_is_a_subclass_of_the_owners(self):
        clauses = self.owner().call(make_clauses)
        self.assertEqual(self.caller().call(subclass_answers, clauses), [True, True, False])

    def test_except_clause_tells_classes_that_were_shared_one_after_the_other(self):
        clauses = self.owner().call(make_clauses)
        answers = self.caller().call(caught_one_after_the_other, clauses)
        self.assertEqual(answers, [True, False, True])

    def test_proxy_of_no_exception_class_is_refused_by_except(self):
        self.assertEqual(self.caller().call(catch_by_function, self.function('raiser')),
                         'catching classes that do not inherit from BaseException is not allowed')


def note_raised(function, source):
    error = caught(function, source)
    error.add_note('two')
    return type(error.__notes__), error.__notes__


def pickled_cause_is_text(function):
    cause = caught(function, 'ValueError(1)').__cause__
    copy = pickle.loads(pickle.dumps(cause))
    return type(copy) is RemoteTraceback and str(copy) == str(cause)


def group_raised(function, source):
    error = caught(function, source)
    return (type(error).__name__,
            [(type(member).__name__, member.args) for member in error.exceptions], error.own)


def clause_that_catches(clauses, name):
    try:
        clauses.fail(name)
    except clauses.Error:
        return 0
    except (ZeroDivisionError, clauses.Other):
        return 1
    except clauses.Known:
        return 2
    except Exception:
        return None


def is_caught_by(error, cls):
    try:
        raise error
    except cls:
        return True


def caught_one_after_the_other(clauses):
    """Classes that all are of one metaclass; the second one is none of exceptions."""
    error = caught(clauses.fail, 'Derived')
    answers = [caught(is_caught_by, error, getattr(clauses, name))
               for name in ('Error', 'Plain', 'Derived')]
    return [type(answer) is not TypeError for answer in answers]


def clauses_that_catch(clauses):
    found = {}
    try:
        clauses.fail_all()
    except* clauses.Derived as group:
        found['derived'] = len(group.exceptions)
    except* (clauses.Other, clauses.Known) as group:
        found['tuple'] = len(group.exceptions)
    except* Exception as group:
        found['left'] = [type(error).__name__ for error in group.exceptions]
    return found


def subclass_answers(clauses):
    return [issubclass(OwnError, clauses.Known), issubclass(clauses.Derived, clauses.Error),
            issubclass(KeyError, clauses.Known)]


def catch_by_function(function):
    try:
        try:
            raise KeyError
        except function:
            pass
    except TypeError as error:
        return str(error)


def class_of_raised(function, source):
    error = caught(function, source)
    return type(error).__name__, error.args


def cause_of_callback(function):
    return cause_of_raised(function, raiser, 'ValueError("v")')


add_directions(globals(), ErrorsTest, across=True)


class SameInterpreterErrorsTest(SharingTestCase):

    sub_count = 0

    def test_exception_passes_through_as_the_object_it_is(self):
        for error in (ValueError('v'), OwnError('o'), PickyError(1, 2), Unimportable.error('u')):
            with self.subTest(type(error).__name__):
                def fail():
                    raise error
                self.assertIs(caught(SharedObjectProxy(fail)), error)
                self.assertIsNone(error.__cause__)


class NestedErrorsTest(SharingTestCase):

    sub_count = 2

    def test_exception_passes_through_three_interpreters(self):
        first, second = [sub.call(wrapped, 'call_back') for sub in self.subs]
        inner = self.subs[0].call(wrapped, 'raiser')
        for source in ('OSError(2, "m", "f")', 'noted(ValueError("v"), "note")', 'OwnError("o")'):
            with self.subTest(source):
                # main calls the second, which calls main, which calls the first.
                error = caught(second, lambda source: first(inner, source), source)
                self.assertEqual(picture(error), picture_of_made(source))
        inner = error = None

    def test_handler_in_the_middle_stops_the_exception(self):
        function = self.sub.call(wrapped, 'caught_there')
        self.assertEqual(function(raiser, 'ValueError("v")'), ('ValueError', ('v',)))

    def test_machinery_errors_say_where(self):
        function = self.sub.call(wrapped, 'call_back')

        class Odd:
            def __share__(self):
                return []
        error = caught(function, MAIN, Odd())
        self.assertIs(type(error), TypeError)
        self.assertIn('Odd.__share__', str(error))


def caught_there(function, source):
    return class_of_raised(function, source)


if __name__ == '__main__':
    unittest.main()
