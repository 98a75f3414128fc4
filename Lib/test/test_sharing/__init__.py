import os


def load_tests(*args):
    # Imported late: interpreters that import a module of this package to run
    # a function of it have no use for unittest.
    from test.support import load_package_tests
    return load_package_tests(os.path.dirname(__file__), *args)
