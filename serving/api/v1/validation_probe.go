package v1

import (
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validate judges a probe. A readiness probe of period 0 is the aggressive
// one, which has no threshold and no timeout of its own.
func (p *Probe) validate(at *field.Path, readiness bool) field.ErrorList {
	var errs field.ErrorList
	if n := set(p.HTTPGet != nil, p.TCPSocket != nil, p.GRPC != nil, p.Exec != nil); n != 1 {
		errs = append(errs, field.Invalid(at, n, "must have exactly one of httpGet, tcpSocket, grpc, exec"))
	}
	errs = append(errs, p.validatePort(at)...)
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"initialDelaySeconds", p.InitialDelaySeconds}, {"timeoutSeconds", p.TimeoutSeconds},
		{"periodSeconds", p.PeriodSeconds}, {"successThreshold", p.SuccessThreshold}, {"failureThreshold", p.FailureThreshold},
	} {
		if f.value < 0 {
			errs = append(errs, field.Invalid(at.Child(f.name), f.value, "must not be negative"))
		}
	}
	if !readiness {
		if p.SuccessThreshold > 1 {
			errs = append(errs, field.Invalid(at.Child("successThreshold"), p.SuccessThreshold, "must be 1"))
		}
		return errs
	}
	if p.PeriodSeconds == 0 && p.FailureThreshold != 0 {
		errs = append(errs, field.Forbidden(at.Child("failureThreshold"), "must not be set while periodSeconds is 0"))
	}
	if p.PeriodSeconds == 0 && p.TimeoutSeconds != 0 {
		errs = append(errs, field.Forbidden(at.Child("timeoutSeconds"), "must not be set while periodSeconds is 0"))
	}
	return errs
}

// validatePort judges a port that is a number; a name means the container's.
func (p *Probe) validatePort(at *field.Path) field.ErrorList {
	action, port := "", 0
	switch {
	case p.HTTPGet != nil:
		action, port = "httpGet", p.HTTPGet.Port.IntValue()
	case p.TCPSocket != nil:
		action, port = "tcpSocket", p.TCPSocket.Port.IntValue()
	case p.GRPC != nil:
		action, port = "grpc", int(p.GRPC.Port)
	}
	if port == 0 {
		return nil
	}
	return invalid(at.Child(action, "port"), port, validation.IsValidPortNum(port))
}
