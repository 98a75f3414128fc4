# Object files of our C++ end in .obj, because CPython's profile-guided build deletes every
# *.o below the build directory half-way.  CMake reads this file while it enables C++.
set(CMAKE_CXX_OUTPUT_EXTENSION .obj)
