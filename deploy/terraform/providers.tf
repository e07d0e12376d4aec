provider "aws" {
  alias  = "us"
  region = var.us.region

  default_tags {
    tags = local.tags
  }
}

provider "aws" {
  alias  = "eu"
  region = var.eu.region

  default_tags {
    tags = local.tags
  }
}

# Another account where role_arn is one of it: what the gateways' own account has could
# not be kept from those who run it.
provider "aws" {
  alias  = "checkpoints"
  region = var.checkpoints == null ? var.eu.region : var.checkpoints.region

  dynamic "assume_role" {
    for_each = var.checkpoints == null ? [] : compact([var.checkpoints.role_arn])

    content {
      role_arn = assume_role.value
    }
  }

  default_tags {
    tags = local.tags
  }
}
