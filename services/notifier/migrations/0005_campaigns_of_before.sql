-- Campaigns that were launched before launches were heard of: what was noted of them says by whom, so
-- that their admins are told of holds too.
INSERT INTO campaigns AS known (org_id, campaign_id, name, admin_name, admin_email)
SELECT DISTINCT ON (org_id, campaign_id) org_id, campaign_id, facts ->> 'name',
    facts #>> '{launched_by,name}', facts #>> '{launched_by,email}'
FROM notices WHERE facts ? 'launched_by'
ORDER BY org_id, campaign_id, created_at
ON CONFLICT (org_id, campaign_id) DO UPDATE SET
    name = coalesce(known.name, excluded.name),
    admin_name = coalesce(known.admin_name, excluded.admin_name),
    admin_email = coalesce(known.admin_email, excluded.admin_email);
