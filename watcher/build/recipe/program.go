package recipe

import (
	"bytes"
	"debug/elf"
	"fmt"
)

// anonymous is a program whose build IDs are blank: the go command's, and the
// one that the linker makes of it for other tools.
func anonymous(program []byte) ([]byte, error) {
	program = bytes.Clone(program)
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("reading a program: %w", err)
	}
	for _, name := range []string{".note.go.buildid", ".note.gnu.build-id"} {
		if s := f.Section(name); s != nil && s.Offset+s.Size <= uint64(len(program)) {
			clear(program[s.Offset : s.Offset+s.Size])
		}
	}
	return program, nil
}
