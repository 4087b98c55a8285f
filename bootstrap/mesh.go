package bootstrap

// Mesh is what a step, and what is said of it, is called that leads services'
// pods into Istio's mesh or out of it.
const Mesh = "mesh"

// WantsMesh says whether services' pods are to be in the mesh: as it is asked
// for, and else as it was before. s.Box is settled.
func (s *Survey) WantsMesh() bool {
	if s.Mesh != nil {
		return *s.Mesh
	}
	return s.Box.Mesh
}
