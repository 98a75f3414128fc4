// SPDX-License-Identifier: PSF-2.0
// Tokens made of arbitrary bytes: they resolve to the object they name, or to none.
//
// The first byte of an input picks a token to start from, or none; the rest is laid over it with
// exclusive or, so that the fuzzer finds near misses.  Among the tokens there are live ones, ones of
// objects that are gone, and ones whose cells have served other objects since.

#include "fuzzing.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

using namespace fuzzing;

namespace {

constexpr size_t kTokenSize = 16;

using Token = std::array<uint8_t, kTokenSize>;

struct Known {
    Token token;
    long number;        // of the object that it named
    bool alive;
};

std::vector<Known> known;
PyObject *from_token;
PyObject *share_token;
PyObject *dead_proxy_error;

Token token_of(PyObject *proxy)
{
    Ref bytes = made(PyObject_CallOneArg(share_token, proxy));
    check(PyBytes_GET_SIZE(bytes.get()) == Py_ssize_t(kTokenSize), "a token of another size");
    Token token;
    std::memcpy(token.data(), PyBytes_AS_STRING(bytes.get()), kTokenSize);
    return token;
}

// Share a new Box(number) of the attached interpreter; remember its token.
PyObject *share_box(long number)
{
    Ref cls = defined("Box");
    Ref box = made(PyObject_CallFunction(cls.get(), "l", number));
    PyObject *proxy = made(PyShared_Wrap(box.get())).release();
    known.push_back({token_of(proxy), number, true});
    return proxy;
}

// Objects of two interpreters: two of them stay, eight are gone and their cells are used again.
void share_objects(PyThreadState *other)
{
    define("class Box:\n    def __init__(self, number): self.number = number\n");
    long number = 0;
    share_box(++number);
    for (int round = 0; round < 8; ++round) {
        Py_DECREF(share_box(++number));
        define("pass");         // a safe point: the cell is free again
        known.back().alive = false;
    }
    Attached there(other);
    define("class Box:\n    def __init__(self, number): self.number = number\n");
    share_box(++number);
}

const Known *find(const Token &token)
{
    auto found = std::find_if(known.begin(), known.end(),
                              [&](const Known &one) { return one.token == token; });
    return found == known.end() ? nullptr : &*found;
}

void check_proxy(PyObject *proxy, const Token &token)
{
    const Known *one = find(token);
    check(one != nullptr && one->alive, "a token resolved that names no live object");
    check(token_of(proxy) == token, "a proxy has another token than it was made of");
    Ref number = made(PyObject_GetAttrString(proxy, "number"));
    check(PyLong_AsLong(number.get()) == one->number, "a token resolved to another object");
}

void check_refusal(const uint8_t *bytes, size_t size)
{
    if (size == kTokenSize) {
        Token token;
        std::copy_n(bytes, size, token.begin());
        const Known *one = find(token);
        check(one == nullptr || !one->alive, "the token of a live object did not resolve");
    }
    check(cleared(dead_proxy_error) || cleared(PyExc_ValueError) || cleared(PyExc_TypeError),
          "an unexpected exception");
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
    start_python();
    from_token = made(PyObject_GetAttrString(reinterpret_cast<PyObject *>(&PySharedObjectProxy_Type),
                                             "from_token")).release();
    share_token = module_attribute("_sharedobjects", "share_token").release();
    dead_proxy_error = module_attribute("_sharedobjects", "DeadProxyError").release();
    share_objects(make_interpreter());
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    std::vector<uint8_t> bytes(data + 1, data + size);
    if (size_t pick = data[0] % (known.size() + 1); pick != known.size()) {
        bytes.resize(std::max(bytes.size(), kTokenSize));
        for (size_t i = 0; i < kTokenSize; ++i) {
            bytes[i] ^= known[pick].token[i];
        }
    }
    Ref object = made(PyBytes_FromStringAndSize(reinterpret_cast<const char *>(bytes.data()),
                                                Py_ssize_t(bytes.size())));
    Ref proxy(PyObject_CallOneArg(from_token, object.get()));
    if (!proxy) {
        check_refusal(bytes.data(), bytes.size());
        return 0;
    }
    check(bytes.size() == kTokenSize, "a token of another size resolved");
    Token token;
    std::copy_n(bytes.begin(), kTokenSize, token.begin());
    check_proxy(proxy.get(), token);
    return 0;
}
