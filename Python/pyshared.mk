# Our C++, where no CMake has compiled it: in a build of the assembled source tree by its own configure
# and make, or of a copy of it, as test_freeze makes one.
#
# Included by CPython's Makefile.  Python/pyshared.obj depends on nothing: under CMake it is there, and
# up to date, before make begins.  Needs clang as CC, and libc++'s headers.
#
# The flags are those of CMakeLists.txt, but for warnings.  There, names of C++ are made local as well;
# here they are hidden, which is enough for a program, not for linking Python's library into another
# program in C++ that has the same names.

PYSHARED_OBJECTS = $(patsubst $(srcdir)/%.cpp,%.cpp.o, \
	$(wildcard $(srcdir)/Modules/*.cpp $(srcdir)/Objects/*.cpp $(srcdir)/Python/*.cpp))
PYSHARED_CXXFLAGS = -std=c++20 -stdlib=libc++ -fno-exceptions -fno-rtti -fno-threadsafe-statics \
	-fvisibility-inlines-hidden -Wno-c99-designator -Wno-missing-designated-field-initializers

$(PYSHARED_OBJECTS): %.cpp.o: $(srcdir)/%.cpp
	$(CC) -x c++ $(filter-out -std=% -Wstrict-prototypes -Werror=implicit-function-declaration, \
		$(PY_CORE_CFLAGS)) $(PYSHARED_CXXFLAGS) -c $< -o $@

Python/pyshared.obj:
	$(MAKE) $(PYSHARED_OBJECTS)
	$(CC) -r -nostdlib -o $@ $(PYSHARED_OBJECTS)
