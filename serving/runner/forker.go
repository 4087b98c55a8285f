package runner

import "runtime"

// forker starts every child from one thread that lives as long as the
// Runner: the kernel ties a parent's death to the thread that forked, and
// Go ends threads when it likes.
type forker struct {
	work chan func()
	done chan struct{}
}

func newForker() *forker {
	f := &forker{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		runtime.LockOSThread() // and never unlocked, so that the thread ends with us
		for do := range f.work {
			do()
		}
	}()
	return f
}

// run calls start on the thread.
func (f *forker) run(start func() error) error {
	result := make(chan error, 1)
	f.work <- func() { result <- start() }
	return <-result
}

// close ends the thread, and with it every child that is left.
func (f *forker) close() {
	close(f.work)
	<-f.done
}
