# The key that encrypts the keyset (JIRAGATE_KEY_URI). Without it every credential is
# lost. Those who administer the account may administer it; only the gateway may use
# it, and an administrator would have to change this policy first, which CloudTrail shows.

resource "aws_kms_key" "keyset" {
  description             = "Encrypts the keyset of ${var.name}"
  key_usage               = "ENCRYPT_DECRYPT"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
        Action = [
          "kms:CancelKeyDeletion",
          "kms:CreateAlias",
          "kms:DeleteAlias",
          "kms:DescribeKey",
          "kms:DisableKey",
          "kms:DisableKeyRotation",
          "kms:EnableKey",
          "kms:EnableKeyRotation",
          "kms:GetKeyPolicy",
          "kms:GetKeyRotationStatus",
          "kms:ListGrants",
          "kms:ListKeyPolicies",
          "kms:ListKeyRotations",
          "kms:ListResourceTags",
          "kms:PutKeyPolicy",
          "kms:RevokeGrant",
          "kms:RotateKeyOnDemand",
          "kms:ScheduleKeyDeletion",
          "kms:TagResource",
          "kms:UntagResource",
          "kms:UpdateAlias",
          "kms:UpdateKeyDescription",
        ]
        Resource = "*"
      },
      {
        Sid       = "Gateway"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.gateway.arn }
        Action    = ["kms:Decrypt", "kms:Encrypt"]
        Resource  = "*"
      },
    ]
  })

  tags = { Name = var.name }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "keyset" {
  name          = "alias/${var.name}-keyset"
  target_key_id = aws_kms_key.keyset.key_id
}
