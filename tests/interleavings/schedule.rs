//! Goes through every schedule.
//!
//! A future cannot be copied, so each schedule is played from its beginning. What is played is a row of choices; the next row differs
//! in the last place where there was another one. So every row is played once, and the walk ends.

/// The choices of one play.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    made: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    /// One of so many, which must be at least one.
    pub(crate) fn among(&mut self, many: usize) -> usize {
        assert!(many > 0, "a choice among none");
        if self.next == self.made.len() {
            self.made.push((0, many));
        }
        let (chosen, offered) = self.made[self.next];
        assert_eq!(offered, many, "a play that does not repeat itself");
        self.next += 1;
        chosen
    }

    /// Turns to the next row of choices; `false` when there is none.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((chosen, offered)) = self.made.pop() {
            if chosen + 1 < offered {
                self.made.push((chosen + 1, offered));
                return true;
            }
        }
        false
    }
}

/// Plays every row of choices. How many there were.
pub(crate) fn every(mut play: impl FnMut(&mut Choices)) -> usize {
    let mut choices = Choices::default();
    let mut plays = 0;
    loop {
        play(&mut choices);
        plays += 1;
        if !choices.advance() {
            return plays;
        }
    }
}

#[test]
fn every_row_is_played_once() {
    let mut rows = Vec::new();
    let plays = every(|choices| {
        let first = choices.among(2);
        let second = if first == 1 { Some(choices.among(3)) } else { None };
        rows.push((first, second));
    });
    assert_eq!(plays, 4);
    assert_eq!(rows, [(0, None), (1, Some(0)), (1, Some(1)), (1, Some(2))]);
}
