"""A class statement here that makes a class in another interpreter.

No class can be derived from a proxied class.  The suites do derive from what they test, so a Foreign
of theirs (see generic.py) sends the body of the class statement to its interpreter, which makes the
class there, and what the statement gives is the proxied class.  All its objects belong there too.

    class T(foreign):                           # derives a class over there
        def __getitem__(self, key):             # runs over there
            return super().__getitem__(key)

A function crosses as its code.  Over there, it finds as globals what the module here has; names of
functions around it (its closure) are read when it is called and written when it has ended.  A base
class that belongs here is refused, as ever; annotations are left out.
"""

import builtins
import functools
import marshal
import types
from concurrent.interpreters import SharedObjectProxy

#: What a class statement leaves for type.__new__() here.
_OF_STATEMENT = {'__orig_bases__', '__classcell__', '__classdictcell__', '__annotate_func__',
                 '__dict__', '__weakref__'}

#: What wraps a function in the body of a class.
_WRAPPERS = {cls.__name__: cls for cls in (staticmethod, classmethod, property)}


class _Statement(type):
    """The metaclass of class statements, which make their class elsewhere."""

    def __new__(metaclass, name, bases, namespace, **kwargs):
        if not bases:
            return super().__new__(metaclass, name, bases, namespace)
        originals = namespace['__orig_bases__']
        deriver = next(base.deriver for base in originals if hasattr(base, 'deriver'))
        return deriver.derive(name, originals, namespace, kwargs)

    def __init__(self, name, bases, namespace, **kwargs):
        super().__init__(name, bases, namespace)


class ClassStatement(metaclass=_Statement):
    """What __mro_entries__() gives for a base class of another interpreter."""


class Deriver:
    """Here: derives classes in the interpreter that `make_class` is a proxy from."""

    def __init__(self, make_class):
        self.make_class = make_class
        self.closures = []

    def derive(self, name, bases, namespace, kwargs={}):
        body = tuple((key, *self._describe(value)) for key, value in namespace.items()
                     if key not in _OF_STATEMENT)
        return self.make_class(name, tuple(bases), body, **kwargs)

    def _describe(self, value):
        if isinstance(value, types.FunctionType):
            return 'function', self._describe_function(value)
        for kind, wrapper in _WRAPPERS.items():
            if isinstance(value, wrapper):
                function = value.fget if wrapper is property else value.__func__
                return kind, self._describe_function(function)
        if isinstance(value, types.WrapperDescriptorType):
            return 'builtin', (value.__objclass__, value.__name__)
        return 'value', value

    def _describe_function(self, function):
        closure = Closure(function)
        self.closures.append(closure)
        return (marshal.dumps(function.__code__), function.__qualname__, function.__defaults__,
                tuple((function.__kwdefaults__ or {}).items()),
                function.__globals__, function.__module__, closure)

    def forget(self):
        """Break the cycles of classes there and closures here: these are not used any more."""
        for closure in self.closures:
            closure.cells = None
        self.closures.clear()


class Closure:
    """Here: the variables of functions around a function, but not `__class__`."""

    def __init__(self, function):
        names = function.__code__.co_freevars
        self.cells = [cell for name, cell in zip(names, function.__closure__ or ())
                      if name != '__class__']

    def read(self):
        """Return a tuple for each variable, which is empty if the variable is.

        None if the variables are forgotten.
        """
        return self.cells and tuple(map(cell_contents, self.cells))

    def write(self, number, value):
        self.cells[number].cell_contents = value


def cell_contents(cell):
    try:
        return cell.cell_contents,
    except ValueError:
        return ()


def class_maker():
    """Over there: return a proxy of what makes classes."""
    return SharedObjectProxy(make_class)


def make_class(name, bases, body, **kwargs):
    class_cell = types.CellType()
    namespace = {key: make_value(class_cell, kind, value) for key, kind, value in body}
    namespace['__classcell__'] = class_cell
    return types.new_class(name, bases, kwargs, lambda ns: ns.update(namespace))


def make_value(class_cell, kind, value):
    if kind == 'value':
        return value
    if kind == 'builtin':
        return getattr(*value)
    function = make_function(class_cell, *value)
    return function if kind == 'function' else _WRAPPERS[kind](function)


def make_function(class_cell, code, qualname, defaults, kwdefaults, namespace, module, closure):
    code = marshal.loads(code)
    namespace = ForeignGlobals(namespace, module)

    def with_cells(cells):
        cells = iter(cells)
        all_cells = tuple(class_cell if name == '__class__' else next(cells)
                          for name in code.co_freevars)
        function = types.FunctionType(code, namespace, code.co_name, defaults, all_cells)
        function.__kwdefaults__ = dict(kwdefaults) or None
        function.__qualname__ = qualname
        return function
    if set(code.co_freevars) <= {'__class__'}:
        return with_cells(())

    @functools.wraps(with_cells(types.CellType() for _ in code.co_freevars))
    def method(*args, **kwargs):
        before = closure.read()
        if before is None:
            # A finalizer, after the test.
            return
        cells = [types.CellType(*contents) for contents in before]
        try:
            return with_cells(cells)(*args, **kwargs)
        finally:
            for number, cell in enumerate(cells):
                after = cell_contents(cell)
                if after and (not before[number] or after[0] is not before[number][0]):
                    closure.write(number, *after)
    return method


class ForeignGlobals(dict):
    """The globals of a function: those of a module of another interpreter."""

    def __init__(self, namespace, module):
        super().__init__(__builtins__=builtins, __name__=module)
        self.namespace = namespace

    def __missing__(self, name):
        return self.namespace[name]
