//! The check digit of ISO/IEC 7812-1, annex B.

/// Whether the last digit is the check digit of the ones before it. Digits are values (0 to 9), not characters.
pub(crate) fn passes(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::passes;
    use proptest::prelude::*;

    /// Straight from the standard's wording, digit by digit from the right.
    fn check_digit(body: &[u8]) -> u8 {
        let mut sum = 0;
        let mut double = true;
        for &digit in body.iter().rev() {
            let value = if double { digit * 2 } else { digit };
            sum += u32::from(value / 10 + value % 10);
            double = !double;
        }
        u8::try_from((10 - sum % 10) % 10).unwrap()
    }

    proptest! {
        #[test]
        fn exactly_one_check_digit_fits(body in prop::collection::vec(0u8..10, 1..19)) {
            let fitting: Vec<u8> = (0..10)
                .filter(|&check| passes(&[body.as_slice(), &[check]].concat()))
                .collect();
            prop_assert_eq!(fitting, vec![check_digit(&body)]);
        }
    }
}
