//! Topic names and topic filters (MQTT 5.0 §4.7, §4.8): which are valid, which match.

use super::Rule;
use crate::base::scan;

/// What begins the filter of a shared subscription (§4.8.2).
pub const SHARE_PREFIX: &str = "$share/";

/// Whether `name` may be published to: not empty, no wildcard, no U+0000.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['+', '#', '\0'])
}

/// The rule that makes `filter` invalid, and the octet in it where that shows.
///
/// `$share/group/filter` is held to the rules of shared subscriptions; ask only where they
/// exist (5.0), see [`filter_broken_before_five`].
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
    let begin = SHARE_PREFIX.len() + group.len() + 1;
    match rest {
        None | Some("") => Some((Rule::SharedSubscriptionHasAFilter, filter.len())),
        Some(rest) => {
            let (rule, at) = filter_broken_before_five(rest)?;
            Some((rule, begin + at))
        }
    }
}

/// What only topic filters may hold.
#[inline]
pub(super) const fn is_wildcard(octet: u8) -> bool {
    (octet == b'+') | (octet == b'#')
}

/// [`filter_broken`] where `$share` is a level like any other (3.1, 3.1.1).
pub fn filter_broken_before_five(filter: &str) -> Option<(Rule, usize)> {
    if filter.is_empty() {
        return Some((Rule::TopicFilterIsNotEmpty, 0));
    }
    if !scan::any(filter.as_bytes(), is_wildcard) {
        return None;
    }
    let mut at = 0;
    // By octets, as in `matches`.
    for level in filter.as_bytes().split(|octet| *octet == b'/') {
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

/// Whether `filter` is valid in 5.0.
pub fn is_filter(filter: &str) -> bool {
    filter_broken(filter).is_none()
}

/// Whether a message published to `name` goes to a subscription with the valid, not shared
/// `filter`. Each level must be equal, `+` takes any one level, `#` any number of them, the
/// parent included. A filter that begins with a wildcard takes no name that begins with `$`
/// ([MQTT-4.7.2-1]).
pub fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    // By octets: each is looked at once, and a search for characters took three times as long.
    let mut names = name.as_bytes().split(|octet| *octet == b'/');
    let mut filters = filter.as_bytes().split(|octet| *octet == b'/');
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
    /// The group whose members share the messages.
    pub group: &'a str,
    /// The topic filter that the messages match.
    pub filter: &'a str,
}

impl<'a> Shared<'a> {
    /// `None` where `filter` is not of a shared subscription, or is no valid one.
    pub fn of(filter: &'a str) -> Option<Self> {
        let (group, rest) = filter.strip_prefix(SHARE_PREFIX)?.split_once('/')?;
        is_filter(filter).then_some(Self {
            group,
            filter: rest,
        })
    }
}

/// The part of `filter` that topic names are held against: all of it, unless it is of a
/// shared subscription.
pub fn matching_part(filter: &str) -> &str {
    Shared::of(filter).map_or(filter, |shared| shared.filter)
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
