package build

// Learned returns when nothing is being learned of what was built.
func (b *Builder) Learned() {
	m := b.memory
	for {
		m.mu.Lock()
		var one *lesson
		for _, one = range m.learning {
			break
		}
		m.mu.Unlock()
		if one == nil {
			return
		}
		<-one.ended
	}
}
