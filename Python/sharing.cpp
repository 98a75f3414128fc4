// SPDX-License-Identifier: PSF-2.0
// The native-sharing fallback chain: how values cross, both ways.
//
// Threads:  a parcel belongs to one thread.
// Locks:    none held while Python can run.
// See:      Doc/sharing.md, "What crosses, and how"; Lib/test/test_sharing/test_values.py.

#include "pyshared_arguments.hpp"

#include "pyshared_proxy.hpp"
#include "pyshared_scope.hpp"
#include "pyshared_transit.hpp"

#include "pycore_crossinterp.h"
#include "pycore_long.h"
#include "pycore_tuple.h"
#include "pycore_typeobject.h"

#include <cstring>
#include <utility>

namespace pyshared {
namespace {

bool is_singleton(PyObject *value)
{
    return value == Py_None || value == Py_True || value == Py_False || value == Py_Ellipsis
           || value == Py_NotImplemented;
}

// Exactly a type whose static instances are immortal and immutable: the empty bytes and tuple.  So are
// small ints, which cross as numbers, and one-character and predefined strings: see pack_string().
bool is_static_value(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return _Py_IsStaticImmortal(value) && (type == &PyBytes_Type || type == &PyTuple_Type);
}

// The object's __share__, bound, looked up on its type; or null without an exception.
PyObject *share_method(PyObject *value)
{
    PyObject *name = share_name(*owner_of(_PyThreadState_GET()));
    return name == nullptr ? nullptr : _PyObject_LookupSpecial(value, name);
}

// Is what a __share__ returned fit to cross?
int is_shareable_result(PyObject *value)
{
    if (PySharedObjectProxy_Check(value)) {
        return 1;
    }
    if (PyTuple_CheckExact(value)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); ++i) {
            int fits = is_shareable_result(PyTuple_GET_ITEM(value, i));
            if (fits <= 0) {
                return fits;
            }
        }
        return 1;
    }
    return is_native(value);
}

constexpr const char *kWhile = " while crossing to another interpreter";

Py_UCS4 largest_character(uint8_t kind)
{
    switch (kind) {
    case 0:
        return 0x7f;
    case PyUnicode_1BYTE_KIND:
        return 0xff;
    case PyUnicode_2BYTE_KIND:
        return 0xffff;
    default:
        return 0x10ffff;
    }
}

// What is not inlined here would have its callers save registers that they mostly do not need.

[[gnu::noinline]] PyObject *make_string(uint8_t kind, const void *characters, Py_ssize_t size)
{
    PyObject *string = PyUnicode_New(size, largest_character(kind));
    if (string != nullptr) {
        std::memcpy(PyUnicode_DATA(string), characters, size * (kind == 0 ? 1 : kind));
    }
    return string;
}

// One that was not here lately.
[[gnu::noinline]] PyObject *make_short_string(Owner &here, const void *characters, Py_ssize_t size)
{
    PyObject *string = make_string(0, characters, size);
    if (string != nullptr && !here.retired) {
        here.strings.keep(string);
    }
    return string;
}

[[gnu::noinline]] PyObject *receive_string(uint8_t kind, const void *bytes, Py_ssize_t size)
{
    if (kind != 0 || !StringCache::takes(size)) {
        return make_string(kind, bytes, size);
    }
    Owner &here = *owner_of(_PyThreadState_GET());
    PyObject *known = here.strings.find(static_cast<const char *>(bytes), size);
    return known != nullptr ? Py_NewRef(known) : make_short_string(here, bytes, size);
}

[[gnu::noinline]] PyObject *make_big_integer(bool negative, const void *digits, Py_ssize_t count)
{
    void *target;
    PyLongWriter *writer = PyLongWriter_Create(negative, count, &target);
    if (writer == nullptr) {
        return nullptr;
    }
    std::memcpy(target, digits, count * sizeof(digit));
    return PyLongWriter_Finish(writer);
}

}  // namespace

void Parcel::destroy()
{
    clear();
    if (nodes_ != inline_nodes_) {
        PyMem_RawFree(nodes_);
    }
    if (kept_ != inline_kept_) {
        PyMem_RawFree(kept_);
    }
}

void Parcel::roll_back(Mark mark)
{
    while (count_ > static_cast<uint32_t>(mark)) {
        Node &node = nodes_[--count_];
        if (node.kind == Kind::kCell) {
            --owned_;
            drop_handle(*node.cell);
        }
        if (node.owns_bytes) {
            --owned_;
            PyMem_RawFree(const_cast<void *>(node.bytes));
        }
    }
}

void Parcel::drop_all()
{
    roll_back(Mark{0});
    give_back();
}

// Packing

[[gnu::noinline]] bool Parcel::grow()
{
    auto *larger = static_cast<Node *>(PyMem_RawMalloc(2 * capacity_ * sizeof(Node)));
    if (larger == nullptr) {
        PyErr_NoMemory();
        return false;
    }
    std::memcpy(larger, nodes_, count_ * sizeof(Node));
    if (nodes_ != inline_nodes_) {
        PyMem_RawFree(nodes_);
    }
    else {
        ++grown_;
    }
    nodes_ = larger;
    capacity_ *= 2;
    return true;
}

inline Parcel::Node *Parcel::append(Kind kind)
{
    if (count_ == capacity_ && !grow()) [[unlikely]] {
        return nullptr;
    }
    Node *node = &nodes_[count_++];
    *node = Node{};
    node->kind = kind;
    return node;
}

int Parcel::pack_absent()
{
    return append(Kind::kAbsent) == nullptr ? -1 : 0;
}

int Parcel::pack_immortal(PyObject *value)
{
    Node *node = append(Kind::kReference);
    if (node == nullptr) {
        return -1;
    }
    node->pointer = value;
    return 0;
}

int Parcel::pack_any(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyLong_Type) {
        return pack_integer(value);
    }
    if (type == &PyUnicode_Type) {
        return pack_string(value);
    }
    if (is_singleton(value) || is_static_value(value)) {
        return pack_immortal(value);
    }
    if (type == &PySharedObjectProxy_Type) {
        return pack_proxy(value);
    }
    if (type == &PyFloat_Type) {
        Node *node = append(Kind::kFloat);
        if (node == nullptr) {
            return -1;
        }
        node->number = PyFloat_AS_DOUBLE(value);
        return 0;
    }
    if (type == &PyBytes_Type) {
        Py_ssize_t size = PyBytes_GET_SIZE(value);
        return pack_bytes(value, Kind::kBytes, 0, PyBytes_AS_STRING(value), size, size);
    }
    if (type == &PyTuple_Type) {
        return pack_items(Kind::kTuple, _PyTuple_ITEMS(value), PyTuple_GET_SIZE(value));
    }
    if (type == &PyComplex_Type) {
        Node *node = append(Kind::kComplex);
        if (node == nullptr) {
            return -1;
        }
        Py_complex number = reinterpret_cast<PyComplexObject *>(value)->cval;
        node->number = number.real;
        node->number2 = number.imag;
        return 0;
    }
    if (type == &PyFrozenSet_Type) {
        return pack_frozenset(value);
    }
    if (type == &PySlice_Type) {
        return pack_attributes(Kind::kSlice, value);
    }
    if (type == &PyRange_Type) {
        return pack_attributes(Kind::kRange, value);
    }
    return pack_other(value);
}

int Parcel::pack_integer(PyObject *value)
{
    auto *integer = reinterpret_cast<PyLongObject *>(value);
    long long number;
    int overflow = 0;
    if (_PyLong_IsCompact(integer)) [[likely]] {
        number = _PyLong_CompactValue(integer);
    }
    else {
        number = PyLong_AsLongLongAndOverflow(value, &overflow);
    }
    if (overflow == 0) {
        Node *node = append(Kind::kInteger);
        if (node == nullptr) {
            return -1;
        }
        node->integer = number;
        return 0;
    }
    Py_ssize_t digits = _PyLong_DigitCount(integer);
    return pack_bytes(value, Kind::kBigInteger, _PyLong_IsNegative(integer),
                      integer->long_value.ob_digit,
                      digits, digits * sizeof(digit));
}

int Parcel::pack_string(PyObject *value)
{
    if (_Py_IsStaticImmortal(value)) {
        return pack_immortal(value);
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(value);
    if (PyUnicode_IS_COMPACT_ASCII(value)) [[likely]] {
        return pack_bytes(value, Kind::kString, 0, PyUnicode_1BYTE_DATA(value), length, length);
    }
    auto kind = static_cast<uint8_t>(PyUnicode_KIND(value));
    return pack_bytes(value, Kind::kString, kind, PyUnicode_DATA(value), length, length * kind);
}

// See that the node's bytes, which are the value's, stay until they are unpacked.
// Tstate: attached to the sender.  Errors: -1 with MemoryError; the node owns nothing.
int Parcel::keep_bytes(Node &node, PyObject *value, Py_ssize_t size)
{
    size_t used = bytes_used_;
    if (size <= static_cast<Py_ssize_t>(kInlineBytes - used)) {
        node.bytes = std::memcpy(inline_bytes_ + used, node.bytes, size);
        bytes_used_ = static_cast<uint32_t>((used + size + 7) & ~size_t{7});
        return 0;
    }
    if (size >= kKeepFrom) {
        return keep(Py_NewRef(value), nullptr);
    }
    void *copy = PyMem_RawMalloc(size);
    if (copy == nullptr) {
        PyErr_NoMemory();
        return -1;
    }
    node.bytes = std::memcpy(copy, node.bytes, size);
    node.owns_bytes = true;
    ++owned_;
    return 0;
}

int Parcel::pack_bytes(PyObject *value, Kind kind, uint8_t detail, const void *bytes,
                       Py_ssize_t size, Py_ssize_t byte_size)
{
    Node *node = append(kind);
    if (node == nullptr) {
        return -1;
    }
    node->detail = detail;
    node->size = size;
    node->bytes = bytes;
    return lifetime_ == Lifetime::kOutlives ? 0 : keep_bytes(*node, value, byte_size);
}

int Parcel::pack_items(Kind kind, PyObject *const *items, Py_ssize_t size)
{
    RecursionGuard guard(kWhile);
    if (!guard.entered()) {
        return -1;
    }
    Node *node = append(kind);
    if (node == nullptr) {
        return -1;
    }
    node->size = size;
    for (Py_ssize_t i = 0; i < size; ++i) {
        if (pack(items[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

int Parcel::pack_frozenset(PyObject *value)
{
    // A set has no items in place; a tuple of them lives as long as is asked for.
    PyObject *items = PySequence_Tuple(value);
    if (items == nullptr || keep(items, nullptr) < 0) {
        return -1;
    }
    return pack_items(Kind::kFrozenSet, _PyTuple_ITEMS(items), PyTuple_GET_SIZE(items));
}

int Parcel::pack_attributes(Kind kind, PyObject *value)
{
    RecursionGuard guard(kWhile);
    if (!guard.entered() || append(kind) == nullptr) {
        return -1;
    }
    for (const char *name : {"start", "stop", "step"}) {
        PyObject *part = PyObject_GetAttrString(value, name);
        if (part == nullptr) {
            return -1;
        }
        // A range makes its attributes of the moment.
        if (keep(part, nullptr) < 0 || pack(part) < 0) {
            return -1;
        }
    }
    return 0;
}

int Parcel::pack_proxy(PyObject *value)
{
    ProxyObject &proxy = *as_proxy(value);
    proxy.armed.clear();
    ProxyUse use(proxy);
    if (!use) {
        raise_released(proxy);
        return -1;
    }
    if (proxy.cell->load().dead()) {
        raise_dead(*proxy.cell);
        return -1;
    }
    return pack_cell(*proxy.cell);
}

int Parcel::pack_cell(SharedCell &cell)
{
    Node *node = append(Kind::kCell);
    if (node == nullptr) {
        return -1;
    }
    if (!take_handle(cell)) {
        --count_;
        PyErr_SetString(PyExc_OverflowError, "too many references to one shared object");
        return -1;
    }
    node->cell = &cell;
    ++owned_;
    return 0;
}

int Parcel::pack_wrapped(PyObject *value, Scope *scope)
{
    SharedCell *cell = cell_for(sender_, value, scope);
    if (cell == nullptr) {
        return -1;
    }
    Node *node = append(Kind::kCell);
    if (node == nullptr) {
        drop_handle(*cell);
        return -1;
    }
    node->cell = cell;
    ++owned_;
    return 0;
}

int Parcel::pack_other(PyObject *value)
{
    if (crosses_by_reference(value)) {
        return pack_immortal(value);
    }
    PyThreadState *tstate = _PyThreadState_GET();
    Registration registration = registration_of(tstate, value);
    if (registration == Registration::kData) {
        return pack_registered(value);
    }
    if (registration == Registration::kShareMethod) {
        PyObject *shared = call_share_method(value);
        if (shared != nullptr) {
            RecursionGuard guard(kWhile);
            if (keep(shared, nullptr) < 0 || !guard.entered()) {
                return -1;
            }
            return pack(shared);
        }
    }
    return _PyErr_Occurred(tstate) ? -1 : pack_wrapped(value);
}

int Parcel::pack_registered(PyObject *value)
{
    _PyXIData_t *xidata = _PyXIData_New();
    if (xidata == nullptr) {
        return -1;
    }
    if (_PyObject_GetXIDataNoFallback(_PyThreadState_GET(), value, xidata) < 0) {
        PyMem_RawFree(xidata);
        return -1;
    }
    if (keep(nullptr, xidata) < 0) {
        return -1;
    }
    Node *node = append(Kind::kRegistered);
    if (node == nullptr) {
        return -1;
    }
    node->xidata = xidata;
    return 0;
}

// Takes over the reference, or the data, also on error.
int Parcel::keep(PyObject *object, _PyXIData_t *xidata)
{
    if (kept_count_ == kept_capacity_) {
        auto *larger = static_cast<Kept *>(PyMem_RawMalloc(2 * kept_capacity_ * sizeof(Kept)));
        if (larger == nullptr) {
            Py_XDECREF(object);
            if (xidata != nullptr) {
                _PyXIData_Free(xidata);
            }
            PyErr_NoMemory();
            return -1;
        }
        std::memcpy(larger, kept_, kept_count_ * sizeof(Kept));
        if (kept_ != inline_kept_) {
            PyMem_RawFree(kept_);
        }
        else {
            ++grown_;
        }
        kept_ = larger;
        kept_capacity_ *= 2;
    }
    kept_[kept_count_++] = Kept{object, xidata};
    return 0;
}

void Parcel::give_back()
{
    while (kept_count_ > 0) {
        Kept kept = kept_[--kept_count_];
        Py_XDECREF(kept.object);
        if (kept.xidata != nullptr) {
            _PyXIData_Free(kept.xidata);
        }
    }
}

// Unpacking

int Parcel::unpack_any(PyObject **value)
{
    Node &node = nodes_[next_++];
    *value = unpack_node(node);
    return *value == nullptr && node.kind != Kind::kAbsent ? -1 : 0;
}

SharedCell *Parcel::unpack_cell()
{
    assert(next_ < count_);
    Node &node = nodes_[next_++];
    if (node.kind == Kind::kAbsent) {
        return nullptr;
    }
    assert(node.kind == Kind::kCell);
    node.kind = Kind::kTaken;
    return node.cell;
}

PyObject *Parcel::unpack_node(Node &node)
{
    switch (node.kind) {
    case Kind::kBigInteger:
        return make_big_integer(node.detail != 0, node.bytes, node.size);
    case Kind::kFloat:
        return PyFloat_FromDouble(node.number);
    case Kind::kComplex:
        return PyComplex_FromDoubles(node.number, node.number2);
    case Kind::kString:
        return receive_string(node.detail, node.bytes, node.size);
    case Kind::kBytes:
        return PyBytes_FromStringAndSize(static_cast<const char *>(node.bytes), node.size);
    case Kind::kTuple:
    case Kind::kFrozenSet:
        return unpack_sequence(node);
    case Kind::kSlice:
    case Kind::kRange:
        return unpack_three(node);
    case Kind::kCell:
        node.kind = Kind::kTaken;
        --owned_;
        return receive_cell(*node.cell);
    case Kind::kRegistered:
        return _PyXIData_NewObject(node.xidata);
    case Kind::kAbsent:
        return nullptr;
    case Kind::kReference:
    case Kind::kInteger:
    case Kind::kTaken:
        break;
    }
    Py_UNREACHABLE();
}

PyObject *Parcel::unpack_sequence(Node &node)
{
    RecursionGuard guard(kWhile);
    if (!guard.entered()) {
        return nullptr;
    }
    Ref items = Ref::steal(PyTuple_New(node.size));
    if (!items) {
        return nullptr;
    }
    for (Py_ssize_t i = 0; i < node.size; ++i) {
        PyObject *item;
        if (unpack(&item) < 0) {
            return nullptr;
        }
        PyTuple_SET_ITEM(items.get(), i, item);
    }
    return node.kind == Kind::kTuple ? items.release() : PyFrozenSet_New(items.get());
}

PyObject *Parcel::unpack_three(Node &node)
{
    RecursionGuard guard(kWhile);
    if (!guard.entered()) {
        return nullptr;
    }
    Ref parts[3];
    for (Ref &part : parts) {
        PyObject *value;
        if (unpack(&value) < 0) {
            return nullptr;
        }
        part = Ref::steal(value);
    }
    if (node.kind == Kind::kSlice) {
        return PySlice_New(parts[0].get(), parts[1].get(), parts[2].get());
    }
    PyObject *arguments[] = {parts[0].get(), parts[1].get(), parts[2].get()};
    return PyObject_Vectorcall(reinterpret_cast<PyObject *>(&PyRange_Type), arguments, 3, nullptr);
}

int check_packing(PyObject *value)
{
    Parcel parcel(*owner_of(_PyThreadState_GET()), nullptr, Parcel::Lifetime::kOutlives);
    return parcel.pack(value);
}

void note_argument(PyObject *const *arguments, size_t count, PyObject *names)
{
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return;
    }
    Ref error = Ref::steal(PyErr_GetRaisedException());
    Ref all = Ref::steal(_PyTuple_FromArray(arguments, static_cast<Py_ssize_t>(count)));
    Ref no_names = Ref::steal(PyTuple_New(0));
    Ref note = Ref::steal(all && no_names ? PyImport_ImportModuleAttrString(
                              "concurrent.interpreters._unshareable", "note_argument") : nullptr);
    Ref done;
    if (note) {
        done = Ref::steal(PyObject_CallFunctionObjArgs(
            note.get(), error.get(), all.get(), names == nullptr ? no_names.get() : names,
            nullptr));
    }
    // What goes wrong here is not what is to be told.
    PyErr_SetRaisedException(error.release());
}

bool crosses_by_reference(PyObject *value)
{
    if (!PyType_Check(value)) {
        return false;
    }
    auto *type = reinterpret_cast<PyTypeObject *>(value);
    if ((type->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN) == 0) {
        return false;
    }
    size_t index = reinterpret_cast<size_t>(type->tp_subclasses) - 1;
    const auto &known = _PyInterpreterState_GET()->types.builtins.initialized;
    return index < Py_ARRAY_LENGTH(known) && known[index].type == type;
}

bool crosses_by_value(PyTypeObject *type)
{
    return type == &PyLong_Type || type == &PyUnicode_Type || type == &PyFloat_Type
           || type == &PyBytes_Type || type == &PyTuple_Type || type == &PyComplex_Type
           || type == &PyFrozenSet_Type || type == &PySlice_Type || type == &PyRange_Type;
}

int is_native(PyObject *value)
{
    if (is_singleton(value) || crosses_by_value(Py_TYPE(value)) || crosses_by_reference(value)) {
        return 1;
    }
    PyThreadState *tstate = _PyThreadState_GET();
    if (registration_of(tstate, value) == Registration::kData) {
        return 1;
    }
    return _PyErr_Occurred(tstate) ? -1 : 0;
}

PyObject *call_share_method(PyObject *value)
{
    Ref method = Ref::steal(share_method(value));
    if (!method) {
        return nullptr;
    }
    Ref result = Ref::steal(PyObject_CallNoArgs(method.get()));
    if (!result) {
        return nullptr;
    }
    int fits = is_shareable_result(result.get());
    if (fits > 0) {
        return result.release();
    }
    if (fits == 0) {
        PyErr_Format(PyExc_TypeError,
                     "%T.__share__() must return something natively shareable, not '%T'", value,
                     result.get());
    }
    return nullptr;
}

PyObject *known_class(PyObject *module_name, PyObject *qualified_name)
{
    Ref found = Ref::steal(PyImport_GetModule(module_name));
    Ref dot = Ref::steal(PyUnicode_FromString("."));
    Ref parts = Ref::steal(dot ? PyUnicode_Split(qualified_name, dot.get(), -1) : nullptr);
    if (!found || !parts) {
        return nullptr;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts.get()); ++i) {
        PyObject *next;
        if (PyObject_GetOptionalAttr(found.get(), PyList_GET_ITEM(parts.get(), i), &next) <= 0) {
            return nullptr;
        }
        found = Ref::steal(next);
    }
    return PyType_Check(found.get()) ? found.release() : nullptr;
}

PyObject *receive_cell(SharedCell &cell)
{
    Owner &here = *owner_of(_PyThreadState_GET());
    if (cell.owner == &here) {
        if (Ref object = live_object_of(cell)) {
            drop_handle(cell);
            return object.release();
        }
    }
    return proxy_for(here, cell);
}

}  // namespace pyshared
