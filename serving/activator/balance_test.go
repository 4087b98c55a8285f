package activator

import "testing"

func TestChoose(t *testing.T) {
	for name, test := range map[string]struct {
		inFlight []int
		limit    int
		turn     int
		want     int // -1: none may
	}{
		"no pod":                         {want: -1},
		"one pod without a limit":        {inFlight: []int{1000}, want: 0},
		"of two the lighter":             {inFlight: []int{3, 2}, want: 1},
		"limit 1 takes the first free":   {inFlight: []int{1, 0, 0}, limit: 1, turn: 2, want: 1},
		"limit 3 packs":                  {inFlight: []int{2, 0}, limit: 3, turn: 1, want: 0},
		"limit 3, all full":              {inFlight: []int{3, 3}, limit: 3, want: -1},
		"above 3 in turn":                {inFlight: []int{0, 0, 0}, limit: 4, turn: 1, want: 1},
		"above 3 the turn comes round":   {inFlight: []int{0, 0, 0}, limit: 4, turn: 3, want: 0},
		"above 3 a full pod is left out": {inFlight: []int{0, 4, 0}, limit: 4, turn: 1, want: 2},
		"above 3, all full":              {inFlight: []int{4, 4}, limit: 4, turn: 1, want: -1},
	} {
		t.Run(name, func(t *testing.T) {
			var pods []*pod
			for _, n := range test.inFlight {
				pods = append(pods, &pod{inFlight: n})
			}
			got := choose(pods, test.limit, &test.turn)
			if test.want < 0 {
				if got != nil {
					t.Fatal("a pod was chosen where none may be")
				}
				return
			}
			if got != pods[test.want] {
				t.Fatalf("want pod %d", test.want)
			}
		})
	}
}

func TestRoundRobinIsFair(t *testing.T) {
	pods := []*pod{{}, {}, {}}
	turn := 0
	for range 12 {
		choose(pods, 10, &turn).inFlight++
	}
	for i, p := range pods {
		if p.inFlight != 4 {
			t.Errorf("pod %d got %d of 12 requests", i, p.inFlight)
		}
	}
}

func TestOfTwoNeverTheHeavier(t *testing.T) {
	pods := []*pod{{inFlight: 9}, {inFlight: 1}, {inFlight: 5}}
	for range 1000 {
		if choose(pods, 0, nil) == pods[0] {
			t.Fatal("the heaviest of all was the lighter of two")
		}
	}
}
