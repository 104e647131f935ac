//! The files `/etc/passwd` and `/etc/group`, see passwd(5) and group(5).
#![expect(
    clippy::disallowed_methods,
    reason = "it reads files, before the start"
)]

use nix::unistd::{Gid, Uid};

use super::Person;

pub(super) fn read_users() -> String {
    read("/etc/passwd")
}

pub(super) fn read_groups() -> String {
    read("/etc/group")
}

/// Reads a file; one that cannot be read counts as empty.
fn read(path: &str) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The user with this name; `None` if there is none.
pub(super) fn user(text: &str, name: &str) -> Option<Person> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let own = fields.next().filter(|own| *own == name)?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Person {
            name: own.to_owned(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
        })
    })
}

/// The group with this name; `None` if there is none.
pub(super) fn group(text: &str, name: &str) -> Option<Gid> {
    let mut groups = text.lines().filter_map(parse_group);
    groups.find(|group| group.0 == name).map(|group| group.1)
}

/// `own`, and the groups that have this user as a member.
pub(super) fn groups_with(text: &str, user: &str, own: Gid) -> Vec<Gid> {
    let groups = text.lines().filter_map(parse_group);
    let groups = groups
        .filter(|(_, gid, members)| *gid != own && members.split(',').any(|member| member == user));
    std::iter::once(own)
        .chain(groups.map(|(_, gid, _)| gid))
        .collect()
}

/// Parses name, number, and members of a group.
fn parse_group(line: &str) -> Option<(&str, Gid, &str)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, Gid::from_raw(gid), fields.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "root:x:0:\nadm:x:4:syslog,wecrelay\nlog:x:7:wecrelayer\n\
                         wecrelay:x:990:wecrelay\n";

    #[test]
    fn users_are_found_by_their_whole_name() {
        let text =
            "# system\nwecrelayer:x:1:1::/:\nwecrelay:x:991:990:relay:/nonexistent:/bin/false\n";
        let found = user(text, "wecrelay").unwrap();
        assert_eq!((found.uid.as_raw(), found.gid.as_raw()), (991, 990));
        assert_eq!(user(text, "wecrel"), None);
        assert_eq!(user("wecrelay:x:none:1::/:", "wecrelay"), None);
    }

    #[test]
    fn a_user_has_its_own_group_and_those_it_is_a_member_of() {
        let own = group(GROUP, "wecrelay").unwrap();
        let groups = groups_with(GROUP, "wecrelay", own);
        assert_eq!(groups, [Gid::from_raw(990), Gid::from_raw(4)]);
        assert_eq!(group(GROUP, "wec"), None);
    }
}
