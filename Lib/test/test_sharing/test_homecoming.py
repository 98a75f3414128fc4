"""An exception that comes back to where it was raised is the very object."""

import contextlib
import gc
import traceback
import unittest
import weakref
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy

from .support import SharingTestCase, add_directions, cells_live
from .test_errors import caught


# In the interpreters

class Middle:
    """Functions of the interpreter that an exception passes through."""

    kept = None

    def call(self, function, /, *args):
        return function(*args)

    def relay(self, others, function, /, *args):
        """Call through the others, one inside the other."""
        if not others:
            return function(*args)
        return others[0].relay(others[1:], function, *args)

    def reraise(self, function):
        try:
            function()
        except BaseException as error:
            raise error

    def tell(self, function):
        try:
            function()
        except BaseException as error:
            return type(error).__name__, str(error), str(error.__cause__)

    def note(self, function):
        try:
            function()
        except Exception as error:
            error.add_note('of the middle')
            raise

    def replace(self, function):
        try:
            function()
        except Exception as error:
            raise LookupError('another') from error

    def borrow_cause(self, function):
        try:
            function()
        except Exception as error:
            raise LookupError('another') from error.__cause__

    def part(self, function):
        try:
            function()
        except* ValueError:
            pass

    def keep(self, function):
        try:
            function()
        except Exception as error:
            self.kept = error.with_traceback(None)

    def raise_kept(self):
        raise self.kept

    def repeat(self, function, count):
        """Return how many cells it takes when that is called so often."""
        for _ in range(count):
            try:
                function()
            except Exception:
                pass
        return cells_live()

    def generate(self):
        yield 1

    @contextlib.contextmanager
    def manage(self):
        yield 1


def make_middle():
    return SharedObjectProxy(Middle())


class LocalError(Exception):
    pass


def errors():
    """Exceptions of all kinds; the other interpreters cannot make the local one."""
    class HiddenError(Exception):
        pass

    class HiddenGroup(ExceptionGroup):
        pass

    noted = HiddenError('noted')
    noted.add_note('of the raiser')
    return [HiddenError('h', [1]), LocalError('l'), noted, ValueError(), KeyError('k'),
            AttributeError('a', name='n', obj=HiddenError()), OSError(2, 'm', 'f'),
            KeyboardInterrupt(), SystemExit(3), interpreters.InterpreterError('i'),
            UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'bad'),
            ExceptionGroup('g', [HiddenError(1), ValueError(2)]),
            HiddenGroup('g', [HiddenError(1), ExceptionGroup('h', [KeyError(2)])])]


def raiser_of(error):
    def fail():
        raise error
    return fail


def strangers(middle, others):
    """Return those errors that do not come home by themselves."""
    found = []
    for error in errors():
        if caught(middle.relay, others, raiser_of(error)) is not error:
            found.append(repr(error))
    return found


def strangers_raised_again(middle):
    return [repr(error) for error in errors()
            if caught(middle.reraise, raiser_of(error)) is not error]


def told(middle):
    class HiddenError(Exception):
        pass
    return middle.tell(raiser_of(HiddenError('text'))), middle.tell(raiser_of(KeyError('key')))


def notes(middle):
    error = LocalError()
    error.add_note('of the raiser')
    same = caught(middle.note, raiser_of(error)) is error
    again = caught(middle.note, raiser_of(error)) is error
    return same, again, type(error.__notes__), list(error.__notes__)


def replaced(middle, name):
    error = caught(getattr(middle, name), raiser_of(LocalError('first')))
    return type(error).__name__, error.args, ''.join(traceback.format_exception(error))


def part_of_a_group(middle):
    """What is left of a group in the middle is another group, of the very members."""
    class HiddenError(Exception):
        pass
    members = [HiddenError(1), ValueError(2), KeyError(3)]
    error = ExceptionGroup('g', members)
    left = caught(middle.part, raiser_of(error))
    return (left is error, len(left.exceptions), left.exceptions[0] is members[0],
            left.exceptions[1] is members[2])


def kept_beyond_the_call(middle):
    """Is it the object later, within the call and after it; and is that alive then?"""
    seen = []

    def during():
        error = LocalError()
        seen.append(weakref.ref(error))
        middle.keep(raiser_of(error))
        seen.append(caught(middle.raise_kept) is error)
    middle.call(during)
    gc.collect()
    after = caught(middle.raise_kept)
    middle.kept = None
    return seen[1], seen[0]() is None, type(after) is LocalError


def cells_of_many(middle):
    fail = raiser_of(LocalError())
    before = cells_live()
    return middle.repeat(fail, 300) - before


def thrown(middle):
    """An exception that is thrown into a generator, or leaves a with block, is not raised there."""
    class HiddenError(Exception):
        pass
    error = HiddenError()
    generator = middle.generate()
    next(generator)
    came = [caught(generator.throw, error) is error]

    def leave():
        with middle.manage():
            raise error
    came.append(caught(leave) is error)
    return came


def raised_while_handling(middle):
    """Return what is known of an exception that led to another one."""
    def fail():
        try:
            raise KeyError('inner')
        except KeyError:
            raise LocalError('outer')

    def fail_from():
        try:
            raise KeyError('inner')
        except KeyError as inner:
            raise LocalError('outer') from inner

    def handle(function):
        try:
            raise IndexError('handled')
        except IndexError:
            return caught(middle.call, function)
    found = []
    for function in fail, fail_from:
        error = handle(function)
        found.append((type(error.__context__), type(error.__context__.__context__),
                      [frame.name for frame in traceback.extract_tb(error.__traceback__)],
                      ''.join(traceback.format_exception(error))))
    return found


def way_home(middle, others):
    error = caught(middle.relay, others, raiser_of(LocalError()))
    return str(error.__cause__)


class HomecomingTest:

    def middle(self):
        return self.owner().call(make_middle)

    def ask(self, function, *args):
        return self.caller().call(function, self.middle(), *args)

    def places(self):
        """Middles of other interpreters, and again of this one."""
        third = self.subs[2].call(make_middle)
        return [(), (third,), (self.caller().call(make_middle),),
                (third, self.caller().call(make_middle), self.middle(), third)]

    def test_exception_comes_home_through_any_interpreters(self):
        for number, others in enumerate(self.places()):
            with self.subTest(number):
                self.assertEqual(self.ask(strangers, others), [])

    def test_exception_raised_again_on_the_way_comes_home(self):
        self.assertEqual(self.ask(strangers_raised_again), [])

    def test_exception_is_seen_on_the_way(self):
        hidden, known = self.ask(told)
        self.assertEqual(hidden[0], 'RemoteError')
        self.assertIn('HiddenError: text', hidden[1])
        self.assertEqual(known[:2], ('KeyError', "'key'"))
        for _, _, cause in hidden, known:
            self.assertIn('in raiser_of.<locals>.fail', cause)
            self.assertIn('raise error', cause)

    def test_notes_of_the_way_are_added_once(self):
        self.assertEqual(self.ask(notes), (True, True, list, ['of the raiser', 'of the middle']))

    def test_exception_that_replaces_it_tells_of_it(self):
        name, args, text = self.ask(replaced, 'replace')
        self.assertEqual((name, args), ('LookupError', ('another',)))
        self.assertIn('test_homecoming.LocalError: first', text)
        self.assertIn('direct cause', text)
        self.assertLess(text.index('LocalError: first'), text.index('LookupError: another'))

    def test_exception_with_the_cause_of_another_is_not_taken_for_it(self):
        name, args, _ = self.ask(replaced, 'borrow_cause')
        self.assertEqual((name, args), ('LookupError', ('another',)))

    def test_rest_of_a_group_is_not_taken_for_the_group(self):
        self.assertEqual(self.ask(part_of_a_group), (False, 2, True, True))

    def test_exception_is_not_kept_beyond_the_call(self):
        self.assertEqual(self.ask(kept_beyond_the_call), (True, True, True))

    def test_exceptions_of_one_call_do_not_pile_up(self):
        self.assertLess(self.ask(cells_of_many), 100)

    def test_exception_thrown_in_comes_home(self):
        self.assertEqual(self.ask(thrown), [True, True])

    def test_exception_keeps_context_and_traceback(self):
        plain, caused = self.ask(raised_while_handling)
        for context, former, names, text in plain, caused:
            self.assertEqual((context, former), (KeyError, IndexError))
            self.assertEqual(names[0], 'caught')
            self.assertIn(names[-1], ('fail', 'fail_from'))
            self.assertIn("KeyError: 'inner'", text)
            self.assertIn('LocalError: outer', text)

    def test_way_home_names_the_interpreters_in_between(self):
        third = self.subs[2].call(make_middle)
        way = self.ask(way_home, (third,))
        for place in self.owner(), self.subs[2]:
            number = place.call(interpreters.get_current).id
            self.assertEqual(way.count(f'interpreter {number} '), 1, way)
        number = self.caller().call(interpreters.get_current).id
        self.assertNotIn(f'interpreter {number} ', way)


add_directions(globals(), HomecomingTest, across=True, subs=3)


if __name__ == '__main__':
    unittest.main()
