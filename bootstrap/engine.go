package bootstrap

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Engine is one way to run boxes. It keeps nothing between two calls: what it
// must know of a box is in the box's record and folder.
type Engine interface {
	// Name is what --engine and the record of a box call it.
	Name() string

	// Ready says why this machine cannot run a box by it now, nil where it
	// can. It is asked where nobody has chosen an engine.
	Ready(ctx context.Context) error

	// Survey looks at what the box needs of this machine, adds what it finds
	// to s, settles s.Box, and changes nothing. It returns what brings that
	// box up, side by side: what one step needs of another is a Gate. Where
	// something failed there is nothing to do, and the steps are not looked at.
	Survey(ctx context.Context, s *Survey) []Step

	// Down removes all of a box but its folder. It is well when there is
	// nothing of it. say is told what it does.
	Down(ctx context.Context, box *Box, say func(string)) error

	// Enter is the way into a box that was made, whether it runs or not.
	Enter(box *Box) Entrance
}

// Entrance is the way into one box.
type Entrance interface {
	// Parts are those of the box that tell numbers, the controller first.
	Parts() []string

	// Ask makes a request of a part's address for numbers and returns the
	// answer. Its error is an ErrOlder where the part has no such address.
	Ask(ctx context.Context, part, method, path string, body []byte) ([]byte, error)

	// Ended returns why the box ended when it has, for good, and nil when ctx
	// has ended first.
	Ended(ctx context.Context) error

	// Log is the file that the box writes on this machine, "" for none.
	Log() string

	// Lacks names what a cluster has and a box of this engine has not.
	Lacks() []string
}

// Engines are those that there are, the one to be taken first where it is
// ready.
type Engines []Engine

// Auto is the word for an engine of devbox's choice.
const Auto = "auto"

// Names are the words for --engine.
func (all Engines) Names() []string {
	names := []string{Auto}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// named is the engine of that name, nil where there is none.
func (all Engines) named(name string) Engine {
	if i := slices.IndexFunc(all, func(e Engine) bool { return e.Name() == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// choose says what is to run the box: what the box has, or what is asked for.
// It is nil where that cannot be, which s says then.
func (all Engines) choose(s *Survey) Engine {
	switch {
	case s.Engine != Auto && all.named(s.Engine) == nil:
		s.Add("engine", Fail, fmt.Sprintf("there is no engine %q", s.Engine), "use --engine "+strings.Join(all.Names()[1:], " or --engine "))
		return nil
	case s.Record != nil && all.named(s.Record.Engine) == nil:
		s.Add("engine", Fail, fmt.Sprintf("box %s is of engine %s, which this devbox does not have", s.Name, s.Record.Engine),
			"use the devbox that made it, or choose another --name")
		return nil
	case s.Record != nil && s.Engine != Auto && s.Engine != s.Record.Engine:
		s.Add("engine", Fail, fmt.Sprintf("box %s is of engine %s, not %s", s.Name, s.Record.Engine, s.Engine),
			"`"+Command(s.Name, "down")+"` first, or choose another --name")
		return nil
	case s.Record != nil:
		return all.named(s.Record.Engine)
	default:
		return all.named(s.Engine)
	}
}

// Load returns the box of that name, whether it runs or not, and an error
// that is ErrNoBox where there is none.
func (all Engines) Load(name string) (*Box, error) {
	box, err := read(name)
	if err != nil {
		return nil, err
	}
	if box == nil || !box.Complete {
		return nil, fmt.Errorf("box %q: %w", name, ErrNoBox)
	}
	engine := all.named(box.Engine)
	if engine == nil {
		return nil, fmt.Errorf("box %s is of engine %s, which this devbox does not have", name, box.Engine)
	}
	box.Entrance = engine.Enter(box)
	return box, nil
}
