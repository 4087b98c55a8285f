package load

import (
	"bufio"
	"io"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// results is a file of results as vegeta writes it: `vegeta report`, `plot` and
// `encode` read it. The methods of nil do nothing.
type results struct {
	out    *bufio.Writer
	encode vegeta.Encoder
}

func newResults(out io.Writer) *results {
	buffered := bufio.NewWriterSize(out, 1<<16)
	return &results{out: buffered, encode: vegeta.NewEncoder(buffered)}
}

func (r *results) write(one *vegeta.Result) error {
	if r == nil {
		return nil
	}
	return r.encode(one)
}

func (r *results) flush() error {
	if r == nil {
		return nil
	}
	return r.out.Flush()
}
