// SPDX-License-Identifier: PSF-2.0
// Every slot and special method of the proxy type, from one table.
//
// Threads:  as for any object.
// Locks:    none.
// Python:   operations run the object's code in its owner.
// See:      Doc/sharing.md, "How a proxy behaves"; Lib/test/test_sharing/test_operations.py.

#include "pyshared_slots.hpp"

#include "pyshared_arguments.hpp"
#include "pyshared_name.hpp"
#include "pyshared_operand.hpp"
#include "pyshared_operation.hpp"
#include "pyshared_transit.hpp"

#include "pycore_abstract.h"
#include "pycore_call.h"
#include "pycore_genobject.h"
#include "pycore_global_strings.h"
#include "pycore_tuple.h"
#include "pycore_unicodeobject.h"

#include <algorithm>
#include <cstddef>

namespace pyshared {
namespace {

// Calls

PyObject *call_here(PyObject *object, PyObject *const *arguments, size_t nargsf, size_t count,
                    PyObject *names)
{
    const auto *end = arguments + count;
    if (std::none_of(arguments, end, [](PyObject *value) {
            return PySharedObjectProxy_Check(value);
        })) {
        return PyObject_Vectorcall(object, arguments, nargsf, names);
    }
    ArgumentArray here(count);
    bool received = here.fill([&](size_t i, PyObject **value) {
        *value = unwrap_home(arguments[i]);
        return *value == nullptr ? -1 : 0;
    });
    if (!received) {
        return nullptr;
    }
    return PyObject_Vectorcall(object, here.begin(),
                               PyVectorcall_NARGS(nargsf) | PY_VECTORCALL_ARGUMENTS_OFFSET, names);
}

// In the owner: what was packed is `count` arguments and the names of keywords, if there are any.
void call_there(Operation &operation, size_t positional, size_t count, const Name &names)
{
    Parcel &parcel = operation.arguments();
    const bool may_have_proxies = parcel.may_have_cells();
    ArgumentArray there(count);
    bool received = there.fill([&](size_t, PyObject **value) { return parcel.unpack(value); });
    Argument<Name> keywords;
    if (!received
        || (may_have_proxies && !arguments_in_kind(operation.object(), nullptr, there, 0))
        || !unpack_names(parcel, names, keywords)) {
        operation.pack_error();
        return;
    }
    operation.pack_result(PyObject_Vectorcall(operation.object(), there.begin(),
                                              positional | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                              keywords.text));
}

// Operations: each runs in the owner, on the object.

PyObject *exactly_str(PyObject *string)
{
    if (string == nullptr || PyUnicode_CheckExact(string)) {
        return string;
    }
    Ref subclass = Ref::steal(string);
    return _PyUnicode_Copy(string);
}

PyObject *object_str(PyObject *object)
{
    return exactly_str(PyObject_Str(object));
}

PyObject *object_repr(PyObject *object)
{
    return exactly_str(PyObject_Repr(object));
}

PyObject *object_next(PyObject *object)
{
    iternextfunc next = Py_TYPE(object)->tp_iternext;
    if (next == nullptr || next == _PyObject_NextNotImplemented) {
        return PyErr_Format(PyExc_TypeError, "'%.200s' object is not an iterator",
                            Py_TYPE(object)->tp_name);
    }
    return next(object);
}

// The object's own side of a comparison.  If the other operand is a proxy its side is asked where
// that object lives, by whoever compares; asking from here would go round for ever.  But what
// compares as a value that crosses is compared there as the value, since no method knows proxies.
PyObject *object_compare(PyObject *object, PyObject *foreign, int op)
{
    Ref comparand = Ref::steal(comparand_in_kind(object, foreign));
    if (!comparand) {
        return nullptr;
    }
    PyObject *other = comparand.get();
    if (!PySharedObjectProxy_Check(other)) {
        return PyObject_RichCompare(object, other, op);
    }
    richcmpfunc compare = Py_TYPE(object)->tp_richcompare;
    PyObject *answer = compare == nullptr ? Py_NewRef(Py_NotImplemented)
                                          : compare(object, other, op);
    if (answer != Py_NotImplemented) {
        return answer;
    }
    Ref value = Ref::steal(comparable_value(object));
    if (!value || value.get() == Py_NotImplemented) {
        return value.release();
    }
    return on_object<object_compare>(other, value.get(), _Py_SwappedOp[op]);
}

PyObject *object_get_attribute(PyObject *object, Name name)
{
    return PyObject_GetAttr(object, name.text);
}

// Null without an exception: there is none.
PyObject *object_get_optional_attribute(PyObject *object, Name name)
{
    PyObject *value;
    (void)PyObject_GetOptionalAttr(object, name.text, &value);
    return value;
}

int object_set_attribute(PyObject *object, Name name, PyObject *value)
{
    return PyObject_SetAttr(object, name.text, value);
}

int object_set_item(PyObject *object, PyObject *key, PyObject *value)
{
    if (value == nullptr) {
        return PyObject_DelItem(object, key);
    }
    Ref item = Ref::steal(item_in_kind(object, value));
    return item ? PyObject_SetItem(object, key, item.get()) : -1;
}

// An iterator of what the object awaits.  A coroutine is not one itself, as far as the other side
// can tell; the wrapper that its __await__() gives is.
PyObject *object_await(PyObject *object)
{
    PyObject *awaited = _PyCoro_GetAwaitableIter(object);
    if (awaited == nullptr || !PyCoro_CheckExact(awaited)) {
        return awaited;
    }
    Ref coroutine = Ref::steal(awaited);
    return Py_TYPE(awaited)->tp_as_async->am_await(awaited);
}

PyObject *object_async_next(PyObject *object)
{
    PyAsyncMethods *methods = Py_TYPE(object)->tp_as_async;
    if (methods == nullptr || methods->am_anext == nullptr) {
        return PyErr_Format(PyExc_TypeError, "'%.200s' object is not an async iterator",
                            Py_TYPE(object)->tp_name);
    }
    return methods->am_anext(object);
}

// Whoever asks for a negative index has added the length already: the sequence's own slot must not
// add it once more.

PyObject *object_item_at(PyObject *object, Py_ssize_t index)
{
    PySequenceMethods *methods = Py_TYPE(object)->tp_as_sequence;
    return index < 0 && methods != nullptr && methods->sq_item != nullptr
               ? methods->sq_item(object, index)
               : PySequence_GetItem(object, index);
}

int object_set_at(PyObject *object, Py_ssize_t index, PyObject *value)
{
    PySequenceMethods *methods = Py_TYPE(object)->tp_as_sequence;
    if (index < 0 && methods != nullptr && methods->sq_ass_item != nullptr) {
        return methods->sq_ass_item(object, index, value);
    }
    return value == nullptr ? PySequence_DelItem(object, index)
                            : PySequence_SetItem(object, index, value);
}

// bytes(proxy) asks for __bytes__, which the object need not have: bytes(object) knows what then.
PyObject *object_bytes(PyObject *object)
{
    return PyObject_CallOneArg(reinterpret_cast<PyObject *>(&PyBytes_Type), object);
}

PyObject *no_protocol(PyObject *object, const char *protocol)
{
    return PyErr_Format(PyExc_TypeError, "'%T' object does not support %s", object, protocol);
}

PyObject *object_special(PyObject *object, PyObject *name, PyObject *arguments,
                         const char *protocol)
{
    Ref method = Ref::steal(_PyObject_LookupSpecial(object, name));
    if (!method) {
        return PyErr_Occurred() ? nullptr : no_protocol(object, protocol);
    }
    return arguments == nullptr ? PyObject_CallNoArgs(method.get())
                                : PyObject_CallObject(method.get(), arguments);
}

PyObject *object_reversed(PyObject *object)
{
    return PyObject_CallOneArg(reinterpret_cast<PyObject *>(&PyReversed_Type), object);
}

// As the bytecode does: __exit__ is looked for first.
PyObject *object_enter(PyObject *object)
{
    Ref exit = Ref::steal(_PyObject_LookupSpecial(object, &_Py_ID(__exit__)));
    if (!exit) {
        return PyErr_Occurred()
                   ? nullptr
                   : no_protocol(object,
                                 "the context manager protocol (missed __exit__ method)");
    }
    return object_special(object, &_Py_ID(__enter__), nullptr, "the context manager protocol");
}

// What __length_hint__() gives, for the caller to judge: TypeError from it says that there is none,
// and TypeError for what it gave does not.
PyObject *object_length_hint(PyObject *object)
{
    Ref method = Ref::steal(_PyObject_LookupSpecial(object, &_Py_ID(__length_hint__)));
    if (method) {
        return PyObject_CallNoArgs(method.get());
    }
    return PyErr_Occurred() ? nullptr : Py_NewRef(Py_NotImplemented);
}

PyObject *object_complex(PyObject *object)
{
    return PyObject_CallOneArg(reinterpret_cast<PyObject *>(&PyComplex_Type), object);
}

// What wants a path takes nothing but a string or bytes.
PyObject *object_path(PyObject *object)
{
    Ref path = Ref::steal(PyOS_FSPath(object));
    if (path && PyBytes_Check(path.get())) {
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(path.get()),
                                         PyBytes_GET_SIZE(path.get()));
    }
    return exactly_str(path.release());
}

PyObject *object_format(PyObject *object, PyObject *spec)
{
    return exactly_str(PyObject_Format(object, spec));
}

int object_is_instance(PyObject *object, PyObject *candidate)
{
    return PyObject_IsInstance(candidate, object);
}

PyObject *call_module_function(const char *module, const char *name, PyObject *object,
                               PyObject *argument)
{
    Ref function = Ref::steal(PyImport_ImportModuleAttrString(module, name));
    if (!function) {
        return nullptr;
    }
    return PyObject_CallFunctionObjArgs(function.get(), object, argument, nullptr);
}

PyObject *object_copy(PyObject *object)
{
    return call_module_function("copy", "copy", object, nullptr);
}

PyObject *object_deepcopy(PyObject *object)
{
    return call_module_function("copy", "deepcopy", object, nullptr);
}

PyObject *object_trunc(PyObject *object)
{
    return call_module_function("math", "trunc", object, nullptr);
}

PyObject *object_floor(PyObject *object)
{
    return call_module_function("math", "floor", object, nullptr);
}

PyObject *object_ceil(PyObject *object)
{
    return call_module_function("math", "ceil", object, nullptr);
}

PyObject *object_pickle(PyObject *object, int protocol)
{
    Ref number = Ref::steal(PyLong_FromLong(protocol));
    return number ? call_module_function("pickle", "dumps", object, number.get()) : nullptr;
}

PyObject *object_round(PyObject *object, PyObject *digits)
{
    return call_module_function("builtins", "round", object, digits);
}

// Slots with the proxy on either side

// A list that comes first is asked again by the slots of sequences, which `first += proxy` and
// `first *= proxy` need: they change it.
bool is_asked_again(PyObject *first)
{
    PySequenceMethods *methods = Py_TYPE(first)->tp_as_sequence;
    return methods != nullptr && methods->sq_inplace_concat != nullptr;
}

// Where the first operand lives, and was asked before about a proxy: once more, about what it can
// look into.
template <auto Function> PyObject *object_with_copy(PyObject *object, PyObject *second)
{
    Ref operand = Ref::steal(operand_in_kind(object, second));
    if (!operand) {
        return nullptr;
    }
    if (PySharedObjectProxy_Check(operand.get()) || is_asked_again(object)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return Function(object, operand.get());
}

bool has_copies(PyObject *object)
{
    return crosses_by_value(Py_TYPE(object)) || is_value_in_kind(object);
}

// A slot of the object's own type, called for an operand that came first.  If that operand stays a
// proxy its own side was asked before, where it lives; asking again would go round for ever.
template <auto Function, size_t Offset>
PyObject *object_reflected(PyObject *object, PyObject *foreign)
{
    PyNumberMethods *methods = Py_TYPE(object)->tp_as_number;
    binaryfunc slot = methods == nullptr ? nullptr
                                         : *reinterpret_cast<binaryfunc *>(
                                               reinterpret_cast<char *>(methods) + Offset);
    bool looks_inside = PySharedObjectProxy_Check(foreign) && is_value_in_kind(object);
    Ref operand = Ref::steal(looks_inside ? operand_in_kind(object, foreign) : Py_NewRef(foreign));
    if (!operand) {
        return nullptr;
    }
    PyObject *first = operand.get();
    if (!PySharedObjectProxy_Check(first)) {
        return is_asked_again(first) ? Py_NewRef(Py_NotImplemented) : Function(first, object);
    }
    Ref answer = Ref::steal(has_copies(object)
                                ? on_object<object_with_copy<Function>>(first, object)
                                : Py_NewRef(Py_NotImplemented));
    if (slot == nullptr || answer.get() != Py_NotImplemented) {
        return answer.release();
    }
    return slot(first, object);
}

template <auto Function> PyObject *object_operator(PyObject *object, PyObject *other)
{
    Ref operand = Ref::steal(operand_in_kind(object, other));
    return operand ? Function(object, operand.get()) : nullptr;
}

template <auto Function, size_t Offset> PyObject *binary(PyObject *left, PyObject *right)
{
    if (PySharedObjectProxy_Check(left)) {
        return on_object<object_operator<Function>>(left, right);
    }
    return on_object<object_reflected<Function, Offset>>(right, left);
}

// Where the object returns itself, the proxy stays; elsewhere the same cell arrives as the same
// proxy, but in the owner the object itself would come home.
PyObject *keep_proxy(PyObject *self, PyObject *result)
{
    if (result == nullptr || PySharedObjectProxy_Check(result)) {
        return result;
    }
    Ref object = Ref::steal(unwrap_home(self));
    if (!object) {
        PyErr_Clear();
    }
    if (object.get() != result) {
        return result;
    }
    Py_DECREF(result);
    return Py_NewRef(self);
}

template <auto Function> PyObject *in_place(PyObject *self, PyObject *other)
{
    return keep_proxy(self, on_object<object_operator<Function>>(self, other));
}

// Two operands of a power, of which the object is the third.
struct OperandsInKind {
    OperandsInKind(PyObject *object, PyObject *one, PyObject *other)
        : first(Ref::steal(operand_in_kind(object, one))),
          second(Ref::steal(first ? operand_in_kind(object, other) : nullptr))
    {
    }
    explicit operator bool() const { return static_cast<bool>(second); }

    Ref first;
    Ref second;
};

template <auto Function>
PyObject *object_power_base(PyObject *object, PyObject *exponent, PyObject *modulus)
{
    OperandsInKind operands(object, exponent, modulus);
    return operands ? Function(object, operands.first.get(), operands.second.get()) : nullptr;
}

PyObject *proxy_in_place_power(PyObject *self, PyObject *exponent, PyObject *modulus)
{
    return keep_proxy(self, on_object<object_power_base<PyNumber_InPlacePower>>(self, exponent,
                                                                                modulus));
}

// As in object_reflected().
PyObject *own_power(PyObject *object, PyObject *base, PyObject *exponent, PyObject *modulus)
{
    PyNumberMethods *methods = Py_TYPE(object)->tp_as_number;
    if (methods == nullptr || methods->nb_power == nullptr) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return methods->nb_power(base, exponent, modulus);
}

PyObject *object_power_with_copy(PyObject *object, PyObject *exponent, PyObject *modulus)
{
    OperandsInKind operands(object, exponent, modulus);
    if (!operands) {
        return nullptr;
    }
    if (PySharedObjectProxy_Check(operands.first.get())) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return PyNumber_Power(object, operands.first.get(), operands.second.get());
}

PyObject *object_power_exponent(PyObject *object, PyObject *foreign, PyObject *modulus)
{
    OperandsInKind operands(object, foreign, modulus);
    if (!operands) {
        return nullptr;
    }
    PyObject *base = operands.first.get();
    if (!PySharedObjectProxy_Check(base)) {
        return PyNumber_Power(base, object, operands.second.get());
    }
    Ref answer = Ref::steal(has_copies(object)
                                ? on_object<object_power_with_copy>(base, object, modulus)
                                : Py_NewRef(Py_NotImplemented));
    return answer.get() == Py_NotImplemented ? own_power(object, base, object, modulus)
                                             : answer.release();
}

PyObject *object_power_modulus(PyObject *object, PyObject *foreign, PyObject *other)
{
    OperandsInKind operands(object, foreign, other);
    if (!operands) {
        return nullptr;
    }
    PyObject *base = operands.first.get();
    PyObject *exponent = operands.second.get();
    bool was_asked = PySharedObjectProxy_Check(base) || PySharedObjectProxy_Check(exponent);
    return was_asked ? own_power(object, base, exponent, object)
                     : PyNumber_Power(base, exponent, object);
}

PyObject *proxy_power(PyObject *base, PyObject *exponent, PyObject *modulus)
{
    if (PySharedObjectProxy_Check(base)) {
        return on_object<object_power_base<PyNumber_Power>>(base, exponent, modulus);
    }
    if (PySharedObjectProxy_Check(exponent)) {
        return on_object<object_power_exponent>(exponent, base, modulus);
    }
    return on_object<object_power_modulus>(modulus, base, exponent);
}

// Special methods that have no slot

PyObject *tuple_of(PyObject *const *items, Py_ssize_t count)
{
    return _PyTuple_FromArray(items, count);
}

template <PyObject *(*Name)(), bool WithArguments>
PyObject *special(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *name = Name();
    if (!WithArguments && count == 0) {
        return on_object<object_special>(self, name, nullptr, PyUnicode_AsUTF8(name));
    }
    Ref arguments = Ref::steal(tuple_of(args, count));
    return arguments ? on_object<object_special>(self, name, arguments.get(),
                                                 PyUnicode_AsUTF8(name))
                     : nullptr;
}

template <auto Function> PyObject *no_arguments(PyObject *self, PyObject *)
{
    return on_object<Function>(self);
}

template <auto Function> PyObject *one_argument(PyObject *self, PyObject *argument)
{
    return on_object<Function>(self, argument);
}

template <auto Function> PyObject *test_argument(PyObject *self, PyObject *argument)
{
    int answer = on_object<Function>(self, argument);
    return answer < 0 ? nullptr : PyBool_FromLong(answer);
}

PyObject *proxy_round(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return on_object<object_round>(self, count > 0 ? args[0] : nullptr);
}

PyObject *proxy_deepcopy(PyObject *self, PyObject *)
{
    return on_object<object_deepcopy>(self);
}

PyObject *proxy_reduce_ex(PyObject *self, PyObject *protocol)
{
    int version = PyLong_AsInt(protocol);
    if (version == -1 && PyErr_Occurred()) {
        return nullptr;
    }
    if (in_pickle_session()) {
        return reduce_in_pickle_session(self);
    }
    Ref loads = Ref::steal(PyImport_ImportModuleAttrString("pickle", "loads"));
    Ref bytes = Ref::steal(loads ? on_object<object_pickle>(self, version) : nullptr);
    return bytes ? Py_BuildValue("O(O)", loads.get(), bytes.get()) : nullptr;
}

PyObject *proxy_reduce(PyObject *self, PyObject *)
{
    Ref version = Ref::steal(PyLong_FromLong(2));
    return version ? proxy_reduce_ex(self, version.get()) : nullptr;
}

PyObject *proxy_sizeof(PyObject *, PyObject *)
{
    return PyLong_FromSize_t(sizeof(ProxyObject));
}

PyObject *proxy_from_token(PyObject *, PyObject *bytes)
{
    SharedCell *cell = resolve_token(bytes);
    return cell == nullptr ? nullptr : proxy_for(*owner_of(_PyThreadState_GET()), *cell);
}

bool is_name(PyObject *name, PyObject *wanted)
{
    return name == wanted || PyUnicode_Equal(name, wanted) == 1;
}

// Whose attribute a name is.
enum class Attribute : uint8_t { kObjects, kProxys, kClass };

Attribute kind_of_attribute(PyObject *self, PyObject *name)
{
    if (PyUnicode_GET_LENGTH(name) < 8 || PyUnicode_READ_CHAR(name, 0) != '_') {
        return Attribute::kObjects;
    }
    if (is_name(name, &_Py_ID(__class__))) {
        return Attribute::kClass;
    }
    const ProxyObject &proxy = *as_proxy(self);
    bool is_proxys = is_name(name, &_Py_ID(__reduce_ex__)) || is_name(name, &_Py_ID(__reduce__))
                     || PyUnicode_EqualToUTF8(name, "__deepcopy__")
                     || (proxy.armed.is_set() && is_name(name, &_Py_ID(__enter__)))
                     || (proxy.has_scope.is_set() && is_name(name, &_Py_ID(__exit__)));
    return is_proxys ? Attribute::kProxys : Attribute::kObjects;
}

}  // namespace

PyObject *proxy_vectorcall(PyObject *self, PyObject *const *arguments, size_t nargsf,
                           PyObject *names)
{
    size_t positional = PyVectorcall_NARGS(nargsf);
    size_t count = positional + (names == nullptr ? 0 : PyTuple_GET_SIZE(names));
    Ref object;
    Home home = find_at_home(self, object);
    if (home != Home::kElsewhere) {
        return home == Home::kHere ? call_here(object.get(), arguments, nargsf, count, names)
                                   : nullptr;
    }
    KeywordNames keywords;
    Operation operation(self);
    if (!keywords.prepare(self, names) || !operation.start()
        || !pack_arguments(operation.arguments(), arguments, count, keywords.get())
        || !operation.enter()) {
        return nullptr;
    }
    call_there(operation, positional, count, keywords.get());
    operation.leave();
    return operation.unpack_result();
}

// Slots that are not one line

PyObject *enter_object(PyObject *self)
{
    return on_object<object_enter>(self);
}

PyObject *exit_object(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Ref arguments = Ref::steal(tuple_of(args, count));
    return arguments ? on_object<object_special>(self, &_Py_ID(__exit__), arguments.get(),
                                                 "the context manager protocol")
                     : nullptr;
}

PyObject *proxy_str(PyObject *self)
{
    return on_object<object_str>(self);
}

PyObject *proxy_next(PyObject *self)
{
    return on_object<object_next>(self);
}

PyObject *proxy_compare(PyObject *self, PyObject *other, int op)
{
    return on_object<object_compare>(self, other, op);
}

PyObject *proxy_repr(PyObject *self)
{
    ProxyObject &proxy = *as_proxy(self);
    if (is_alive(proxy)) {
        PyObject *text = on_object<object_repr>(self);
        PyObject *error = dead_proxy_error(*owner_of(_PyThreadState_GET()));
        if (text != nullptr || error == nullptr || !PyErr_ExceptionMatches(error)
            || is_alive(proxy)) {
            return text;
        }
        PyErr_Clear();
    }
    ProxyUse use(proxy);
    Ref text = Ref::steal(use ? describe_dead(*proxy.cell) : describe_released(proxy));
    return text ? PyUnicode_FromFormat("<%U>", text.get()) : nullptr;
}

PyObject *proxy_getattro(PyObject *self, PyObject *name)
{
    switch (kind_of_attribute(self, name)) {
    case Attribute::kClass:
        return proxy_class(self);
    case Attribute::kProxys:
        return PyObject_GenericGetAttr(self, name);
    case Attribute::kObjects:
        break;
    }
    return on_object<object_get_attribute>(self, Name{name});
}

int proxy_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    return on_object<object_set_attribute>(self, Name{name}, value);
}

#define SPECIAL(NAME, WITH_ARGUMENTS) \
    {#NAME, _PyCFunction_CAST((special<+[] { return (PyObject *)&_Py_ID(NAME); }, \
                                       WITH_ARGUMENTS>)), \
     METH_FASTCALL, nullptr}
#define METHOD(NAME, FUNCTION, FLAGS) {#NAME, _PyCFunction_CAST((FUNCTION)), FLAGS, nullptr}

PyMethodDef proxy_methods[] = {
    METHOD(__enter__, proxy_enter, METH_NOARGS),
    METHOD(__exit__, proxy_exit, METH_FASTCALL),
    SPECIAL(__aenter__, false),
    SPECIAL(__aexit__, true),
    METHOD(__trunc__, no_arguments<object_trunc>, METH_NOARGS),
    METHOD(__floor__, no_arguments<object_floor>, METH_NOARGS),
    METHOD(__ceil__, no_arguments<object_ceil>, METH_NOARGS),
    METHOD(__complex__, no_arguments<object_complex>, METH_NOARGS),
    METHOD(__dir__, no_arguments<PyObject_Dir>, METH_NOARGS),
    METHOD(__bytes__, no_arguments<object_bytes>, METH_NOARGS),
    METHOD(__fspath__, no_arguments<object_path>, METH_NOARGS),
    METHOD(__format__, one_argument<object_format>, METH_O),
    METHOD(__reversed__, no_arguments<object_reversed>, METH_NOARGS),
    METHOD(__length_hint__, no_arguments<object_length_hint>, METH_NOARGS),
    METHOD(__round__, proxy_round, METH_FASTCALL),
    METHOD(__instancecheck__, test_argument<object_is_instance>, METH_O),
    METHOD(__subclasscheck__, proxy_subclass_check, METH_O),
    METHOD(__copy__, no_arguments<object_copy>, METH_NOARGS),
    METHOD(__deepcopy__, proxy_deepcopy, METH_O),
    METHOD(__reduce_ex__, proxy_reduce_ex, METH_O),
    METHOD(__reduce__, proxy_reduce, METH_NOARGS),
    METHOD(__sizeof__, proxy_sizeof, METH_NOARGS),
    {"from_token", proxy_from_token, METH_O | METH_CLASS,
     PyDoc_STR("from_token($type, token, /)\n--\n\n"
               "Return a proxy of the object that share_token() made the token for.\n\n"
               "A token holds no reference: if the object is gone, DeadProxyError is raised.")},
    {},
};

#undef METHOD
#undef SPECIAL

#define BINARY(SLOT, FUNCTION) .SLOT = binary<FUNCTION, offsetof(PyNumberMethods, SLOT)>

constinit PyNumberMethods proxy_as_number = {
    BINARY(nb_add, PyNumber_Add),
    BINARY(nb_subtract, PyNumber_Subtract),
    BINARY(nb_multiply, PyNumber_Multiply),
    BINARY(nb_remainder, PyNumber_Remainder),
    BINARY(nb_divmod, PyNumber_Divmod),
    .nb_power = proxy_power,
    .nb_negative = on_object<PyNumber_Negative>,
    .nb_positive = on_object<PyNumber_Positive>,
    .nb_absolute = on_object<PyNumber_Absolute>,
    .nb_bool = on_object<PyObject_IsTrue>,
    .nb_invert = on_object<PyNumber_Invert>,
    BINARY(nb_lshift, PyNumber_Lshift),
    BINARY(nb_rshift, PyNumber_Rshift),
    BINARY(nb_and, PyNumber_And),
    BINARY(nb_xor, PyNumber_Xor),
    BINARY(nb_or, PyNumber_Or),
    .nb_int = on_object<PyNumber_Long>,
    .nb_reserved = nullptr,
    .nb_float = on_object<PyNumber_Float>,
    .nb_inplace_add = in_place<PyNumber_InPlaceAdd>,
    .nb_inplace_subtract = in_place<PyNumber_InPlaceSubtract>,
    .nb_inplace_multiply = in_place<PyNumber_InPlaceMultiply>,
    .nb_inplace_remainder = in_place<PyNumber_InPlaceRemainder>,
    .nb_inplace_power = proxy_in_place_power,
    .nb_inplace_lshift = in_place<PyNumber_InPlaceLshift>,
    .nb_inplace_rshift = in_place<PyNumber_InPlaceRshift>,
    .nb_inplace_and = in_place<PyNumber_InPlaceAnd>,
    .nb_inplace_xor = in_place<PyNumber_InPlaceXor>,
    .nb_inplace_or = in_place<PyNumber_InPlaceOr>,
    BINARY(nb_floor_divide, PyNumber_FloorDivide),
    BINARY(nb_true_divide, PyNumber_TrueDivide),
    .nb_inplace_floor_divide = in_place<PyNumber_InPlaceFloorDivide>,
    .nb_inplace_true_divide = in_place<PyNumber_InPlaceTrueDivide>,
    .nb_index = on_object<PyNumber_Index>,
    BINARY(nb_matrix_multiply, PyNumber_MatrixMultiply),
    .nb_inplace_matrix_multiply = in_place<PyNumber_InPlaceMatrixMultiply>,
};

#undef BINARY

constinit PyAsyncMethods proxy_as_async = {
    .am_await = on_object<object_await>,
    .am_aiter = on_object<PyObject_GetAIter>,
    .am_anext = on_object<object_async_next>,
    .am_send = nullptr,
};

constinit PySequenceMethods proxy_as_sequence = {
    .sq_length = on_object<PyObject_Size>,
    .sq_concat = on_object<object_operator<PySequence_Concat>>,
    .sq_repeat = on_object<PySequence_Repeat>,
    .sq_item = on_object<object_item_at>,
    .was_sq_slice = nullptr,
    .sq_ass_item = on_object<object_set_at>,
    .was_sq_ass_slice = nullptr,
    .sq_contains = on_object<PySequence_Contains>,
    .sq_inplace_concat = in_place<PySequence_InPlaceConcat>,
    .sq_inplace_repeat = on_object<PySequence_InPlaceRepeat>,
};

constinit PyMappingMethods proxy_as_mapping = {
    .mp_length = on_object<PyObject_Size>,
    .mp_subscript = on_object<PyObject_GetItem>,
    .mp_ass_subscript = on_object<object_set_item>,
};

}  // namespace pyshared

using namespace pyshared;

int _PyShared_GetOptionalAttr(PyObject *proxy, PyObject *name, PyObject **result)
{
    *result = kind_of_attribute(proxy, name) == Attribute::kObjects
                  ? on_object<object_get_optional_attribute>(proxy, Name{name})
                  : proxy_getattro(proxy, name);
    if (*result != nullptr) {
        return 1;
    }
    return PyErr_Occurred() ? -1 : 0;
}
