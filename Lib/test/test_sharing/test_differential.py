"""Random programs have the same outcome on a proxy as on the object; see differential.py."""

import unittest
from unittest import mock

from . import differential
from .support import SharingTestCase


class DifferentialTest(SharingTestCase):

    sub_count = 2

    def difference_in(self, subject, *steps):
        program = differential.Program(subject, steps)
        for direction in differential.DIRECTIONS:
            found = differential.first_difference(program, direction, self)
            if found is None:
                return None
        return differential.minimize(found, direction, self)

    def test_random_programs_have_the_same_outcome(self):
        for number in range(200):
            with self.subTest(number=number):
                difference = differential.try_program('test', number, self)
                if difference is not None:
                    self.fail(differential.report(difference))

    def test_same_seed_makes_the_same_program(self):
        for number in range(20):
            self.assertEqual(differential.Maker(1, number).make(),
                             differential.Maker(1, number).make())
        self.assertNotEqual(differential.Maker(1, 0).make(), differential.Maker(2, 0).make())

    def test_step_that_takes_all_memory_is_left_out(self):
        maker = differential.Maker(1, 0)
        with mock.patch.object(maker, 'operation', side_effect=['bool(x)', 'bytearray(2 ** 62)']):
            self.assertEqual(maker.make().steps, ('bool(x)',))

    def test_difference_is_found_and_minimized(self):
        found = self.difference_in('Picky()', 'str(x)', '(a := x.value())', 'x.is_list([])', 'a')
        self.assertEqual(found.program.steps, ('x.is_list([])',))
        self.assertEqual(found.step, 0)
        self.assertIn('x.is_list([])', differential.report(found))

    def test_different_error_is_found(self):
        self.assertIsNotNone(self.difference_in('Picky()', 'x.fail([])'))

    def test_different_state_is_found(self):
        found = self.difference_in('Picky()', 'str(x)', 'x.note([])')
        self.assertEqual(found.program.steps, ('x.note([])',))

    def test_step_that_c_code_refuses_ends_the_comparison(self):
        self.assertIsNone(self.difference_in('Text("t")', '"".join([x])', 'type(x).__name__'))

    def test_order_of_a_set_is_no_difference(self):
        # Merged with a set, one that is nearly full grows less than it does element by element.
        grown = 'set(range(20, 24))', 'x.update({7})'
        self.assertIsNone(self.difference_in(*grown, 'x.pop()', 'list(x)', 'x'))

    def test_order_of_sets_in_sets_is_no_difference(self):
        self.assertEqual(differential.without_accidents('[{1, frozenset({2, 3}), (4, 5)}]'),
                         differential.without_accidents('[{(4, 5), frozenset({3, 2}), 1}]'))
        self.assertNotEqual(differential.without_accidents('[{1, frozenset({2, 3})}]'),
                            differential.without_accidents('[{2, frozenset({1, 3})}]'))


if __name__ == '__main__':
    unittest.main()
