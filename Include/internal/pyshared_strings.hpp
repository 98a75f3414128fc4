// SPDX-License-Identifier: PSF-2.0
// The short strings that one interpreter received last: keys, commands, states.
//
// They come again and again, and comparing characters takes less than making a string and freeing it.
// One that is found has its hash already, too.
//
// Invariants
// * Only ASCII strings of 2 to kMostCharacters characters; shorter ones are static.
// * A string found may be known elsewhere: nobody may change it, not even one who has received it
//   just now.
//
// With the GIL only, which guards it; without, it takes none.

#pragma once

#include "pyshared_guards.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace pyshared {

class StringCache final {
public:
    static constexpr Py_ssize_t kMostCharacters = 64;

    static bool takes(Py_ssize_t size)
    {
        return !kFreeThreaded && size > 1 && size <= kMostCharacters;
    }

    // The string of these characters; null if it is not here.
    // Tstate: attached to the interpreter.  Refs: borrowed.
    [[gnu::always_inline]] PyObject *find(const char *characters, Py_ssize_t size) const
    {
        assert(takes(size));
        PyObject *string = strings_[index(characters, size)];
        return string != nullptr && PyUnicode_GET_LENGTH(string) == size
                       && same(characters_of(string), characters, size)
                   ? string
                   : nullptr;
    }

    // Keep a string, in the place of another one.
    // Tstate: attached to the interpreter.  Refs: borrowed.
    void keep(PyObject *string)
    {
        assert(PyUnicode_IS_COMPACT_ASCII(string) && takes(PyUnicode_GET_LENGTH(string)));
        PyObject *&place = strings_[index(characters_of(string), PyUnicode_GET_LENGTH(string))];
        Py_XDECREF(std::exchange(place, Py_NewRef(string)));
    }

    // Tstate: attached to the interpreter.
    void clear()
    {
        for (PyObject *&string : strings_) {
            Py_CLEAR(string);
        }
    }

private:
    static constexpr int kIndexBits = kFreeThreaded ? 1 : 6;

    static const char *characters_of(PyObject *string)
    {
        return reinterpret_cast<const char *>(_PyASCIIObject_CAST(string) + 1);
    }

    template <class Word> static Word word_at(const char *characters)
    {
        Word word;
        std::memcpy(&word, characters, sizeof word);
        return word;
    }

    // Call with the largest word that fits: the first and the last one may overlap.
    template <class Call> static auto with_word_for(Py_ssize_t size, Call call)
    {
        return size >= 8 ? call(uint64_t{}) : size >= 4 ? call(uint32_t{}) : call(uint16_t{});
    }

    // Of the first characters and the last ones.
    static size_t index(const char *characters, Py_ssize_t size)
    {
        uint64_t ends = with_word_for(size, [=]<class Word>(Word) {
            uint64_t first = word_at<Word>(characters);
            return (first << 1) ^ word_at<Word>(characters + size - sizeof(Word));
        });
        return (ends + static_cast<uint64_t>(size)) * 0x9E3779B97F4A7C15u >> (64 - kIndexBits);
    }

    static bool same(const char *one, const char *other, Py_ssize_t size)
    {
        return with_word_for(size, [=]<class Word>(Word) {
            Py_ssize_t last = size - static_cast<Py_ssize_t>(sizeof(Word));
            for (Py_ssize_t i = 0; i < last; i += sizeof(Word)) {
                if (word_at<Word>(one + i) != word_at<Word>(other + i)) {
                    return false;
                }
            }
            return word_at<Word>(one + last) == word_at<Word>(other + last);
        });
    }

    PyObject *strings_[size_t{1} << kIndexBits]{};
};

}  // namespace pyshared
