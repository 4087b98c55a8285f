package story

import (
	"testing"
)

const text = "# A page\n\n```console\n$ one\nfirst\n$ two\n> with more\nsecond\nthird\n```\n<!-- expect ^sec -->\n\nAnd so on.\n\n```console\n$ three\n```\n"

func TestPage(t *testing.T) {
	p, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.String(); got != text {
		t.Errorf("the page came back as\n%s", got)
	}
	block := p[1]
	if len(block.commands) != 2 || block.commands[1].line != "two\nwith more" || block.commands[1].output != "second\nthird\n" {
		t.Errorf("the commands are %q", block.commands)
	}
	if len(block.expects) != 1 || !block.expects[0].MatchString("first\nsecond\n") || block.expects[0].MatchString("first") {
		t.Errorf("the block expects %v", block.expects)
	}
}

func TestPagesThatAreWrong(t *testing.T) {
	for name, text := range map[string]string{
		"a block that does not end":     "```console\n$ one\n",
		"a block without a command":     "```console\nfirst\n```\n",
		"an expectation of no block":    "<!-- expect x -->\n",
		"an expectation that is no RE2": "```console\n$ one\n```\n<!-- expect ( -->\n",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s: there is no error", name)
		}
	}
}
