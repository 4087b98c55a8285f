package build

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// several is the image of a program for several platforms: as the first of them.
type several struct {
	v1.Image
	all []v1.Image
}

// Variants are the images of all the platforms that an image of a Builder's is
// for, itself where that is one.
func Variants(img v1.Image) []v1.Image {
	if s, ok := img.(several); ok {
		return s.all
	}
	return []v1.Image{img}
}

// forOthers adds to an image those for the other platforms.
func (b *Builder) forOthers(ctx context.Context, dir, importPath string, first v1.Image) (v1.Image, error) {
	all := []v1.Image{first}
	for _, other := range b.others {
		img, err := other.Build(ctx, dir, importPath)
		if err != nil {
			return nil, fmt.Errorf("for %s: %w", other.platform, err)
		}
		all = append(all, img)
	}
	if len(all) == 1 {
		return first, nil
	}
	return several{first, all}, nil
}
