//! Which orders of ours a source's figure contains already, as the source said it (semantics 2.11).

use pannier_protocol::change::{Reflected, ReflectedLine};

use crate::limits::REFLECTED_LINES_MAX;

/// What a figure contains after `stated` was said of it, where it contained `before`. What was named stays
/// contained until it is named anew: a source names an order once, when it begins to count it. A snapshot is built
/// without a `before`: what it does not name is not contained, which is how an ERP that was restored from a
/// backup shows.
pub(super) fn merged(before: Option<&Reflected>, stated: Option<&Reflected>) -> Option<Reflected> {
    match (before, stated) {
        (before, None) => before.cloned(),
        (Some(Reflected::Lines(before)), Some(Reflected::Lines(stated))) => {
            let is_restated = |line: &&ReflectedLine| {
                stated.iter().any(|it| (&it.order, &it.line) == (&line.order, &line.line))
            };
            let mut lines: Vec<ReflectedLine> =
                before.iter().filter(|line| !is_restated(line)).chain(stated).cloned().collect();
            // The oldest go: their orders are long closed.
            let surplus = lines.len().saturating_sub(REFLECTED_LINES_MAX);
            lines.drain(..surplus);
            Some(Reflected::Lines(lines))
        }
        (_, Some(stated)) => Some(stated.clone()),
    }
}

/// How much of one order line a figure contains by name, in base units; `None` where it names nothing of it.
pub(crate) fn named(
    reflects: Option<&Reflected>,
    order: &str,
    line: &str,
) -> Option<pannier_protocol::Decimal> {
    let Some(Reflected::Lines(lines)) = reflects else { return None };
    lines.iter().find(|it| it.order == order && it.line == line).map(|it| it.quantity)
}

/// Whether a figure contains what reached its state at `position` of the source.
pub(crate) fn covers(reflects: Option<&Reflected>, position: u64) -> bool {
    matches!(reflects, Some(Reflected::Position(at)) if *at >= position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_protocol::Decimal;

    fn lines(named: &[(&str, i64)]) -> Reflected {
        let line = |(order, quantity): &(&str, i64)| ReflectedLine {
            order: (*order).to_owned(),
            line: "1".to_owned(),
            quantity: Decimal::from_micros(*quantity),
        };
        Reflected::Lines(named.iter().map(line).collect())
    }

    #[track_caller]
    fn check(before: Option<&Reflected>, stated: Option<&Reflected>, want: Option<&Reflected>) {
        assert_eq!(merged(before, stated).as_ref(), want);
    }

    #[test]
    fn what_was_named_stays_until_it_is_named_anew() {
        let (a, b) = (lines(&[("a", 1)]), lines(&[("b", 2)]));
        check(None, Some(&a), Some(&a));
        check(Some(&a), None, Some(&a));
        check(Some(&a), Some(&b), Some(&lines(&[("a", 1), ("b", 2)])));
        check(
            Some(&lines(&[("a", 1), ("b", 2)])),
            Some(&lines(&[("a", 3)])),
            Some(&lines(&[("b", 2), ("a", 3)])),
        );
        assert_eq!(named(Some(&a), "a", "1"), Some(Decimal::from_micros(1)));
        assert_eq!(named(Some(&a), "a", "2"), None);
    }

    #[test]
    fn a_position_replaces_what_was_said() {
        let at = |position| Reflected::Position(position);
        check(Some(&at(5)), Some(&at(3)), Some(&at(3)));
        check(Some(&lines(&[("a", 1)])), Some(&at(3)), Some(&at(3)));
        assert!(covers(Some(&at(5)), 5) && !covers(Some(&at(4)), 5) && !covers(None, 0));
    }
}
