package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// stampSuffix is of the file beside a kept program that says its checksum, and
// the size and age of the file that this was taken of.
const stampSuffix = ".sha256"

// stamp writes the stamp of a program, which makes it a kept one.
func stamp(program string) error {
	info, err := os.Stat(program)
	if err != nil {
		return fmt.Errorf("keeping a program: %w", err)
	}
	sum, err := content(program)
	if err != nil {
		return err
	}
	if err := os.WriteFile(program+stampSuffix, []byte(sum+" "+looks(info)), 0o600); err != nil {
		return fmt.Errorf("keeping a program: %w", err)
	}
	return nil
}

// looks tells a file from what is written in its place, but not from what is
// made to look like it.
func looks(info fs.FileInfo) string {
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}

// whole says whether a program is there as it was made.
func whole(program string) bool {
	stamped, _, ok := stampOf(program)
	if !ok {
		return false
	}
	sum, err := Sum(program)
	return err == nil && sum == stamped
}

// stampOf reads a program's stamp.
func stampOf(program string) (sum, looks string, ok bool) {
	stamp, err := os.ReadFile(program + stampSuffix)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(stamp), " ")
}

// Sum names the content of a program: its SHA-256 in hexadecimal. A kept one
// that looks as it did when it was made is not read for it.
func Sum(program string) (string, error) {
	info, err := os.Stat(program)
	if err != nil {
		return "", fmt.Errorf("reading a program: %w", err)
	}
	if sum, stamped, ok := stampOf(program); ok && stamped == looks(info) {
		return sum, nil
	}
	return content(program)
}

// content is the SHA-256 of a file in hexadecimal.
func content(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a program: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading program %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
