# State is kept wherever your organisation keeps it: add a backend block in a file of
# your own (backend.tf). It holds no secret, see README.md.
terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.23"
    }
  }
}
