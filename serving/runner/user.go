package runner

import (
	"fmt"
	"strconv"
	"strings"
)

// user is whom a process runs as.
type user struct {
	uid, gid int
	groups   []int
	home     string
}

// lookup reads "uid[:gid]", where both may be names that the image knows. As
// in every container, nobody in particular is root, and a user whom the image
// does not know has the group 0.
func (v view) lookup(name string) (user, error) {
	wanted, group, grouped := strings.Cut(name, ":")
	if wanted == "" {
		wanted = "0"
	}
	passwd, groups := v.table("etc/passwd", 7), v.table("etc/group", 4)
	u := user{home: "/"}
	id, err := strconv.Atoi(wanted)
	known := false
	for _, line := range passwd {
		uid, err1 := strconv.Atoi(line[2])
		gid, err2 := strconv.Atoi(line[3])
		if err1 != nil || err2 != nil || line[0] != wanted && (err != nil || uid != id) {
			continue
		}
		u, known = user{uid: uid, gid: gid, home: line[5]}, true
		u.groups = memberships(groups, line[0])
		break
	}
	if !known {
		if err != nil {
			return user{}, fmt.Errorf("looking up user %q: the image's /etc/passwd does not have it; name the user by number", wanted)
		}
		u.uid = id
	}
	if grouped {
		if u.gid, err = gid(groups, group); err != nil {
			return user{}, err
		}
		u.groups = nil // as asked for, and no other
	}
	return u, nil
}

func gid(groups [][]string, group string) (int, error) {
	if id, err := strconv.Atoi(group); err == nil {
		return id, nil
	}
	for _, line := range groups {
		if id, err := strconv.Atoi(line[2]); err == nil && line[0] == group {
			return id, nil
		}
	}
	return 0, fmt.Errorf("looking up group %q: the image's /etc/group does not have it; name the group by number", group)
}

func memberships(groups [][]string, name string) (ids []int) {
	for _, line := range groups {
		for member := range strings.SplitSeq(line[3], ",") {
			if id, err := strconv.Atoi(line[2]); err == nil && member == name {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// table reads a file whose lines have n fields; it is empty where the image
// has no such file.
func (v view) table(name string, n int) (lines [][]string) {
	content, err := v.read(name)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) >= n {
			lines = append(lines, fields)
		}
	}
	return lines
}
