//! Validity of topic names and topic filters, and one filter compared with one name.

use crate::base::scan;
use crate::mqtt::rule::Rule;

/// The beginning of a shared subscription's filter, `$share/group/filter` (§4.8.2).
pub const SHARE_PREFIX: &str = "$share/";

/// Returns whether `name` may be published to: not empty, no wildcard, no U+0000.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['+', '#', '\0'])
}

/// Returns the rule that `filter` breaks, and the byte in it where that shows.
///
/// `$share/group/filter` must follow the rules of shared subscriptions, which exist only in
/// 5.0: see [`filter_broken_before_five`].
pub fn filter_broken(filter: &str) -> Option<(Rule, usize)> {
    let Some(shared) = filter.strip_prefix(SHARE_PREFIX) else {
        return filter_broken_before_five(filter);
    };
    let (group, rest) = match shared.split_once('/') {
        Some((group, rest)) => (group, Some(rest)),
        None => (shared, None),
    };
    if group.is_empty() || group.contains(['+', '#']) {
        return Some((Rule::ShareNameIsPlain, SHARE_PREFIX.len()));
    }
    let start = SHARE_PREFIX.len() + group.len() + 1;
    match rest {
        None | Some("") => Some((Rule::SharedSubscriptionHasAFilter, filter.len())),
        Some(rest) => {
            let (rule, at) = filter_broken_before_five(rest)?;
            Some((rule, start + at))
        }
    }
}

/// Returns whether `byte` is a wildcard, which only topic filters may hold (§4.7.1).
#[inline]
pub(in crate::mqtt) const fn is_wildcard(byte: u8) -> bool {
    (byte == b'+') | (byte == b'#')
}

/// Returns what [`filter_broken`] does where `$share` is a level like any other (3.1, 3.1.1).
pub fn filter_broken_before_five(filter: &str) -> Option<(Rule, usize)> {
    if filter.is_empty() {
        return Some((Rule::TopicFilterIsNotEmpty, 0));
    }
    if !scan::any(filter.as_bytes(), is_wildcard) {
        return None;
    }
    let mut at = 0;
    // By bytes, as in `matches`.
    for level in filter.as_bytes().split(|byte| *byte == b'/') {
        let end = at + level.len();
        if level.contains(&b'#') && (level != b"#" || end < filter.len()) {
            return Some((Rule::MultiLevelWildcardIsLast, at));
        }
        if level.contains(&b'+') && level != b"+" {
            return Some((Rule::SingleLevelWildcardIsAlone, at));
        }
        at = end + 1;
    }
    None
}

/// Returns whether `filter` is valid in 5.0.
pub fn is_filter(filter: &str) -> bool {
    filter_broken(filter).is_none()
}

/// Returns whether the valid, not shared `filter` matches the topic name `name`.
///
/// Each level must be equal; `+` matches any one level, `#` any number of them, the parent
/// included. A filter that begins with a wildcard matches no name that begins with `$`
/// ([MQTT-4.7.2-1]).
pub fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    // By bytes: each is looked at once, and a search for characters took three times as long.
    let mut names = name.as_bytes().split(|byte| *byte == b'/');
    let mut filters = filter.as_bytes().split(|byte| *byte == b'/');
    loop {
        match (filters.next(), names.next()) {
            (Some(b"#"), _) => return true,
            (Some(b"+"), Some(_)) => {}
            (Some(filter), Some(name)) if filter == name => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// The two parts of a shared subscription's filter, `$share/group/filter` (§4.8.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Shared<'a> {
    /// The group whose members share the messages: one level without wildcards.
    pub group: &'a str,
    /// The topic filter that the messages match.
    pub filter: &'a str,
}

impl<'a> Shared<'a> {
    /// Splits a shared subscription's filter; `None` where `filter` is another one or invalid.
    pub fn of(filter: &'a str) -> Option<Self> {
        let (group, rest) = filter.strip_prefix(SHARE_PREFIX)?.split_once('/')?;
        is_filter(filter).then_some(Self {
            group,
            filter: rest,
        })
    }
}

/// Returns the part of `filter` that topic names are matched with: all of it, unless it is of
/// a shared subscription.
pub fn matching_part(filter: &str) -> &str {
    Shared::of(filter).map_or(filter, |shared| shared.filter)
}

/// Returns whether some topic name matches both filters (§4.7); a topic name is a filter
/// without wildcards. Of a shared subscription the filter within is taken (§4.8.2).
pub fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (matching_part(one), matching_part(other));
    // [MQTT-4.7.2-1].
    let wild = |filter: &str| filter.starts_with(['#', '+']);
    if wild(one) && other.starts_with('$') || wild(other) && one.starts_with('$') {
        return false;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            // # matches the parent level too ([MQTT-4.7.1-2]).
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (None, _) | (_, None) => return false,
            (Some("+"), _) | (_, Some("+")) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_specification_hold() {
        for (filter, name, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/#", "sport", true),
            ("#", "a/b", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor/Clients", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor/Clients", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("ACCOUNTS", "Accounts", false),
            ("/finance", "finance", false),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
        ] {
            assert_eq!(matches(filter, name), expected, "{filter} {name}");
        }
    }

    #[test]
    fn a_filter_is_invalid_by_the_first_level_that_breaks_a_rule() {
        for (filter, expected) in [
            ("n/#/x", Some((Rule::MultiLevelWildcardIsLast, 2))),
            ("sport/tennis#", Some((Rule::MultiLevelWildcardIsLast, 6))),
            ("sport+", Some((Rule::SingleLevelWildcardIsAlone, 0))),
            ("", Some((Rule::TopicFilterIsNotEmpty, 0))),
            ("+/tennis/#", None),
            ("$share/g/a/+", None),
            ("$share//a", Some((Rule::ShareNameIsPlain, 7))),
            ("$share/g+/a", Some((Rule::ShareNameIsPlain, 7))),
            ("$share/g", Some((Rule::SharedSubscriptionHasAFilter, 8))),
            ("$share/g/", Some((Rule::SharedSubscriptionHasAFilter, 9))),
            ("$share/g/a/#/b", Some((Rule::MultiLevelWildcardIsLast, 11))),
        ] {
            assert_eq!(filter_broken(filter), expected, "{filter}");
        }
        assert_eq!(filter_broken_before_five("$share/g"), None);
    }

    #[test]
    fn a_shared_subscription_has_a_group_and_a_filter() {
        assert_eq!(
            Shared::of("$share/consumer1//finance"),
            Some(Shared {
                group: "consumer1",
                filter: "/finance"
            })
        );
        assert_eq!(Shared::of("$shared/a/b"), None);
        assert_eq!(matching_part("$share/g/a/#"), "a/#");
        assert_eq!(matching_part("a/#"), "a/#");
    }

    #[test]
    fn filters_overlap_where_some_name_matches_both() {
        for (one, other, expected) in [
            ("handong/csee/#", "handong/csee", true),
            ("handong/+/b", "handong/csee/b", true),
            ("handong/+/b", "handong/csee/#", true),
            ("handong/+", "handong/csee/a", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/b", "$share/group/a/+", true),
            ("a", "b", false),
            ("/a", "+/a", true),
            ("a/+", "a/", true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_what_wildcards_make_of_it(
            levels in proptest::collection::vec("[a-z]{0,3}", 1..6),
            wild in proptest::collection::vec(any::<bool>(), 6),
            cut in 0..6usize,
        ) {
            let name = levels.join("/");
            prop_assume!(!name.is_empty());
            prop_assert!(matches(&name, &name));
            let plus: Vec<&str> = levels.iter().zip(&wild)
                .map(|(level, wild)| if *wild { "+" } else { level.as_str() })
                .collect();
            prop_assert!(matches(&plus.join("/"), &name));
            let mut hash = plus[..cut.min(plus.len())].to_vec();
            hash.push("#");
            prop_assert!(is_filter(&hash.join("/")));
            prop_assert!(matches(&hash.join("/"), &name));
            let longer = format!("{}/x", name);
            prop_assert!(!matches(&longer, &name));
        }

        #[test]
        fn no_text_makes_matching_panic(filter in ".*", name in ".*") {
            let _ = (matches(&filter, &name), filter_broken(&filter), Shared::of(&filter));
        }
    }
}
